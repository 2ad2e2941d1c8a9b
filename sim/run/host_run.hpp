// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/bus_clock.hpp"
#include "sim/planner/plan.hpp"
#include "sim/run/pass_runner.hpp"

namespace pregate::sim {

/// Passes of a plan whose misses the CPU computes, all of them, while some are copied into the cache in the
/// background (computes_misses_beside_copies(), sim/planner/by_counts.hpp): no operation is put together, the
/// clock goes on by layers.
///
/// Same decisions as LayerPlanner and the same times to the picosecond; LayerPlanner remains the definition,
/// and tests compare the two (tests/sim/host_run_test.cpp).
class HostRun final : public PassRunner {
 public:
  /// Precondition: a batcher that does not wait. All outlive this.
  HostRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs);

  Picoseconds run(const Pass& pass) override;
  void idle_until(Picoseconds) override {
    throw std::logic_error("passes that come one after the other are never idle");
  }
  void finish() override { clock_.finish(); }

  [[nodiscard]] const AccessCounts& decode_counts() const override { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const override { return other_counts_; }
  [[nodiscard]] Tally tally() const override { return clock_.tally(); }
  [[nodiscard]] PathPoint end() const override { return clock_.end(); }

 private:
  /// A part of a layer's activated experts, in router order, with room for all of them twice.
  struct Part {
    std::vector<ExpertKey> keys;
    std::vector<std::uint32_t> tokens;
    std::size_t count = 0;
    std::uint32_t routed = 0;
    void make_room(std::size_t activated);
  };
  /// What the CPU computes of a layer of a class.
  struct Computed {
    BusFlow flow;
    bool at_memory = false, is_known = false;
  };
  void begin_pass(const Pass& pass);
  void moe_layer(int ordinal, int layer_class, const StepRouting& routing);
  void split(int ordinal, const StepRouting& routing);
  [[nodiscard]] const Computed& on_cpu(int layer_class);
  [[nodiscard]] std::uint32_t fetch_admitted();
  void release();

  const ExpertMap& map_;
  CostModel& costs_;
  std::unique_ptr<cache::ExpertCache> cache_;
  bool one_domain_, admits_, measures_all_phases_;
  Hop sends_over_, returns_over_;
  ResourceSet computes_over_ = 0;
  BusClock clock_;
  // Copies keep their order, so which slot an expert is in does not matter.
  std::int64_t free_slots_;
  std::vector<std::uint8_t> is_there_;  // by key: in a slot, its copy may be on its way
  std::vector<std::int64_t> unread_;    // by key: the number of its copy, until it is read; otherwise -1
  std::int64_t copies_ = 0;             // issued so far
  Picoseconds credit_;                  // as RemoteExperts keeps it
  std::vector<std::vector<Computed>> alike_;  // by class and experts, one token each
  Computed other_;
  AccessCounts decode_counts_, other_counts_;
  // of the pass
  AccessCounts* counts_ = nullptr;
  int tokens_ = 0;
  BusFlow out_, back_;
  bool out_at_memory_ = false, back_at_memory_ = false;
  // of the layer
  Part on_gpu_, on_cpu_;
  std::size_t admitted_ = 0;  // the first so many of on_cpu_
  std::int64_t awaited_ = -1;
};

}  // namespace pregate::sim
