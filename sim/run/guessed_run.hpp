// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/counted_clock.hpp"
#include "sim/parts/predictor/predictor.hpp"
#include "sim/planner/plan.hpp"
#include "sim/planner/slot_arena.hpp"
#include "sim/run/pass_runner.hpp"

namespace pregate::sim {

/// Passes of a plan that decides by guesses (sim/planner/by_counts.hpp): which experts are announced, miss
/// and leave matters, and so does which slot each has, but the times follow from how many copies there are
/// and from which of them a layer waits for last. So no operation is put together.
///
/// Same decisions as LayerPlanner and the same times to the picosecond; LayerPlanner remains the definition,
/// and tests compare the two (tests/sim/guessed_run_test.cpp).
class GuessedRun final : public PassRunner {
 public:
  /// Precondition: decides_by_guesses(), and a batcher that does not wait. All outlive this.
  GuessedRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs);

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
  /// What was announced for a layer.
  struct Announced {
    std::vector<ExpertKey> fetched, kept;
    std::size_t kept_count = 0;   // of `kept`
    CountedCopies copies;         // the stream after the last of `fetched`
    std::int64_t last = no_copy;  // of those
  };
  /// Costs of a layer class in the pass, where every activated expert has one token.
  struct Alike {
    std::uint32_t activated = 0, kind = 0;
    bool is_known = false;
  };
  void moe_layer(int ordinal, int layer_class, const Pass& pass);
  std::uint32_t kind_of(int ordinal, int layer_class, const StepRouting& routing);
  void classify(int ordinal, std::span<const ExpertKey> activated);
  void take_slots();
  std::span<const ExpertKey> keep_residents(std::span<const ExpertKey> guesses, Announced& announced);
  void judge(std::span<const ExpertKey> activated, std::span<const ExpertKey> guesses);
  std::uint32_t announce(int ordinal, const Pass& pass);
  void fetch(ExpertKey key, std::int64_t copy);
  void release(Announced& announced);
  void give_back(ExpertKey key) {
    arena_.give_back(slot_of_[key]);
    slot_of_[key] = -1;
  }
  [[nodiscard]] bool is_resident(ExpertKey key) const { return cache_ && cache_->is_resident(key); }

  const ExpertMap& map_;
  CostModel& costs_;
  std::unique_ptr<cache::ExpertCache> cache_;
  std::unique_ptr<Predictor> predictor_;
  Oracle* oracle_ = nullptr;  // the predictor, where it is one
  int distance_;
  bool one_domain_, overtakes_, measures_all_phases_;
  Picoseconds copy_time_;
  CountedClock clock_;
  SlotArena arena_;                    // Slot::ready is the number of an announced copy, no_copy of any other
  std::vector<std::int32_t> slot_of_;  // by key; -1 = in no slot
  std::vector<std::uint8_t> is_activated_;  // by key; all 0 between calls
  std::int64_t copies_ = 0;                 // announced so far
  std::vector<Announced> announced_;        // by ordinal
  std::vector<Alike> alike_;                // by layer class
  AccessCounts decode_counts_, other_counts_;
  // of the pass
  bool decode_ = true;
  int tokens_ = 0, end_ordinal_ = 0;
  AccessCounts* counts_ = nullptr;
  // of the layer
  std::span<const ExpertKey> misses_;
  std::vector<ExpertKey> missing_;  // of its guesses
  std::uint32_t demanded_ = 0;
  std::int64_t awaited_ = no_copy, held_by_ = no_copy;
};

}  // namespace pregate::sim
