// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/cost/cost_model.hpp"
#include "sim/engine/cause.hpp"
#include "sim/program/estimates.hpp"
#include "sim/program/layer_program.hpp"

namespace pregate::sim {

/// What one operation takes, alone on idle resources.
struct Price {
  Picoseconds duration;
  const CopyCost* copy = nullptr;  ///< of what occupies a link or the host's memory
  GpuTime gpu{};                   ///< of a GPU operation: `duration` and what it is made of
};

/// Prices the work of a pass.
class Pricer {
 public:
  explicit Pricer(CostModel& costs) : costs_(costs) {}

  void begin_pass(const StepShape& shape) {
    costs_.begin_step(shape);
    tokens_ = shape.tokens;
  }
  /// One operation; `copy` of it stays valid until the next call. Of a train: a copy of a whole chunk.
  [[nodiscard]] Price price(const Work& work, const LayerProgram& program);
  /// The copy of an expert's chunk `chunk`, from 0.
  [[nodiscard]] Price fetch(int chunk) const {
    const CopyCost& cost = chunk + 1 == costs_.chunks() ? costs_.last_chunk() : costs_.fetch();
    return {cost.duration, &cost, {}};
  }
  [[nodiscard]] Price device_copy() const { return {costs_.device_copy(), nullptr, {}}; }
  [[nodiscard]] const CostModel& costs() const { return costs_; }

 private:
  CostModel& costs_;
  int tokens_ = 0;
  CopyCost cpu_experts_;
};

/// How the costs of a machine and a policy make up copies and passes.
WorkShape work_shape(const CostModel& costs);

/// What a planner may know of prices.
class CostEstimates final : public Estimates {
 public:
  explicit CostEstimates(const CostModel& costs) : costs_(costs) {}
  [[nodiscard]] Picoseconds fetch() const override { return costs_.fetch_train(); }
  [[nodiscard]] Picoseconds on_cpu(int layer_class, std::int64_t experts,
                                   std::uint32_t routed) const override {
    return costs_.cpu_experts(layer_class, experts, routed).duration;
  }

 private:
  const CostModel& costs_;
};

/// Adds what the operation's duration is spent on, alone on idle resources.
[[gnu::always_inline]] inline void spend(OpKind kind, const Price& price, CauseSums& sums) {
  switch (kind) {
    case OpKind::fetch:
    case OpKind::write_back:
    case OpKind::activations: {
      const Picoseconds at_link = price.copy->host_bound ? price.copy->fixed : price.duration;
      sums[Cause::link] += at_link;
      sums[Cause::copied_host_memory] += price.duration - at_link;
      return;
    }
    case OpKind::device_copy:
      sums[Cause::device_copies] += price.duration;
      return;
    case OpKind::cpu_experts:
      sums[price.copy->host_bound ? Cause::cpu_memory : Cause::cpu_arithmetic] += price.duration;
      return;
    case OpKind::gate_readback:
      sums[Cause::gate] += price.duration;
      return;
    default:
      sums[Cause::gpu_memory] += price.gpu.memory;
      sums[Cause::kernels] += price.gpu.kernels;
      sums[Cause::launches] += price.gpu.launches;
  }
}

}  // namespace pregate::sim
