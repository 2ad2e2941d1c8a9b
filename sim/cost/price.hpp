// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

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

  /// `micro_batches`: of its parts, where it is cut.
  void begin_pass(const StepShape& shape, std::span<const StepShape> micro_batches = {}) {
    micro_batches_.clear();
    for (const StepShape& part : micro_batches) {
      costs_.begin_step(part);
      micro_batches_.push_back({part.tokens, costs_.longer(), costs_.head(), costs_.layers()});
    }
    costs_.begin_step(shape);
    tokens_ = shape.tokens;
    groups_ = shape.groups;
  }
  /// One operation; `copy` of it stays valid until the next call. Of a train: a copy of a whole chunk.
  [[nodiscard]] Price price(const Work& work, const LayerProgram& program);
  /// The copy of an expert's chunk `chunk`, from 0, on that stream.
  [[nodiscard]] Price fetch(int chunk, FormatId format, StreamId stream) const {
    if (format == rest_of_expert) {
      const CopyCost& rest = costs_.on(stream).rest();
      return {rest.duration, &rest, {}};
    }
    const CostModel& costs = costs_.on(stream).in(format);
    const CopyCost& cost = chunk + 1 == costs.chunks() ? costs.last_chunk() : costs.fetch();
    return {cost.duration, &cost, {}};
  }
  [[nodiscard]] Price device_copy(StreamId stream) const {
    return {costs_.on(stream).device_copy(), nullptr, {}};
  }
  [[nodiscard]] const CostModel& costs() const { return costs_; }

 private:
  /// What a part of the pass costs.
  struct MicroBatch {
    int tokens;
    double longer;  ///< CostModel::longer()
    GpuTime head;
    std::vector<LayerCost> layers;  ///< by class
  };
  Price of_flow(const CopyCost& cost);
  Price of_kv(const CopyCost& cost);  ///< of nothing, no time
  [[nodiscard]] const MicroBatch& part(const Work& work) const {
    return micro_batches_[static_cast<std::size_t>(work.micro_batch)];
  }
  /// Of the part that the work is for, or of the whole pass.
  [[nodiscard]] const LayerCost& layer(const Work& work) const {
    if (work.micro_batch < 0)
      return costs_.on(work.stream).layer(costs_.class_on(work.stream, work.layer_class));
    return part(work).layers[static_cast<std::size_t>(work.layer_class)];
  }
  [[nodiscard]] GpuTime experts(const Work& work, const LayerProgram& program);
  [[nodiscard]] int tokens_sent(const Work& work) const;

  CostModel& costs_;
  std::vector<MicroBatch> micro_batches_;
  int tokens_ = 0, groups_ = 1;
  CopyCost flow_;  // of the last price, where it belongs to one pass
};

/// How the costs of a machine and a policy make up copies and passes.
WorkShape work_shape(const CostModel& costs);

/// Of each layer, for what drives passes: layers that cost the same share one. `costs` must outlive it.
inline auto layer_class_of(const CostModel& costs) {
  return [&costs](int model_stack, int layer) { return costs.layer_class(model_stack, layer); };
}

/// What a planner may know of prices.
class CostEstimates final : public Estimates {
 public:
  explicit CostEstimates(const CostModel& costs) : costs_(costs) {}
  [[nodiscard]] Picoseconds fetch() const override { return costs_.fetch_train(); }
  [[nodiscard]] Picoseconds on_cpu(int layer_class, std::int64_t experts,
                                   std::uint32_t routed) const override {
    return costs_.cpu_experts(layer_class, experts, routed).duration;
  }
  [[nodiscard]] Picoseconds near_data(int layer_class, std::int64_t experts,
                                      std::uint32_t routed) const override {
    return costs_.near_data_experts(layer_class, experts, routed).duration;
  }
  [[nodiscard]] Picoseconds on_gpu(int layer_class, std::uint32_t tokens) const override {
    return costs_.one_expert(layer_class, tokens);
  }
  [[nodiscard]] Picoseconds between_gates(int layer_class, std::uint32_t experts,
                                          std::uint32_t routed) const override {
    const LayerCost& cost = costs_.layer(layer_class);
    const Picoseconds every = (cost.attention + cost.gate + cost.shared).whole() + cost.gate_readback;
    if (experts == 0) return every;
    return every + costs_.one_expert(layer_class, (routed + experts - 1) / experts) * experts;
  }

 private:
  const CostModel& costs_;
};

/// What an operation's duration is spent on, alone on idle resources, in as little room as its kind needs: of
/// the GPU's its parts, of a copy or of the CPU's work how much is the link's or the memory's.
class Spending {
 public:
  Spending() = default;
  Spending(OpKind kind, const Price& price) : kind_(kind), duration_(price.duration) {
    if (kind == OpKind::read_through) {
      // Bound by the GPU it is as any kernel; else all but its launches is the link's.
      const bool by_gpu = !price.copy->host_bound;
      if (by_gpu) kind_ = OpKind::experts;
      first_ = by_gpu ? price.gpu.memory : price.duration - price.gpu.launches;
      kernels_ = by_gpu ? price.gpu.kernels : Picoseconds{};
      launches_ = price.gpu.launches;
    } else if (price.copy != nullptr && (kind == OpKind::cpu_experts || kind == OpKind::cpu_attention)) {
      first_ = price.copy->host_bound ? price.duration - price.copy->fixed : Picoseconds{};
    } else if (price.copy != nullptr) {
      first_ = price.copy->host_bound ? price.copy->fixed : price.duration;
    } else {
      first_ = price.gpu.memory;
      kernels_ = price.gpu.kernels;
      launches_ = price.gpu.launches;
    }
  }
  [[nodiscard]] Picoseconds duration() const { return duration_; }

  [[gnu::always_inline]] void add_to(CauseSums& sums) const {
    switch (kind_) {
      case OpKind::fetch:
      case OpKind::write_back:
      case OpKind::activations:
      case OpKind::kv_load:
      case OpKind::kv_store:
        sums[Cause::link] += first_;
        sums[Cause::copied_host_memory] += duration_ - first_;
        return;
      case OpKind::read_through:
        sums[Cause::link] += first_;
        sums[Cause::launches] += launches_;
        return;
      case OpKind::drive_read:
        sums[Cause::drive] += duration_;
        return;
      case OpKind::device_copy:
        sums[Cause::device_copies] += duration_;
        return;
      case OpKind::cpu_experts:
      case OpKind::cpu_attention:
        sums[Cause::cpu_memory] += first_;
        sums[Cause::cpu_arithmetic] += duration_ - first_;
        return;
      case OpKind::gate_readback:
        sums[Cause::gate] += duration_;
        return;
      case OpKind::host_predict:
        sums[Cause::cpu_arithmetic] += duration_;
        return;
      case OpKind::exchange:
        sums[Cause::exchanges] += duration_;
        return;
      default:
        sums[Cause::gpu_memory] += first_;
        sums[Cause::kernels] += kernels_;
        sums[Cause::launches] += launches_;
    }
  }

 private:
  OpKind kind_ = OpKind::attention;
  Picoseconds duration_, first_, kernels_, launches_;
};

}  // namespace pregate::sim
