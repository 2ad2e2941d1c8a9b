// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "sim/parts/prefetch/prefetcher.hpp"
#include "sim/planner/expert_slots.hpp"
#include "sim/planner/host_reads.hpp"
#include "sim/planner/plan.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Who is announced before their own gate has run, and what becomes of them: a resident is kept in the cache
/// until its layer comes (and goes on to its working buffer at once, where there are staging copies, or what
/// of it the cache lacks is fetched), another is fetched into a free slot. Whom, says the predictor; which of
/// them and when, the prefetcher.
class Lookahead final : public Announcements {
 public:
  /// `offloaded` by ordinal: the layer has experts that are not resident for the run. `cache` may be null.
  /// All outlive this.
  Lookahead(const ExpertMap& map, const Plan& plan, const std::vector<std::uint8_t>& offloaded,
            cache::ExpertCache* cache, ExpertSlots& slots, HostReads& reads, Executor& executor);

  [[nodiscard]] bool is_active() const { return predictor_ != nullptr; }
  /// A whole-layer transfer is one transfer: the kernel waits for its last copy.
  [[nodiscard]] bool fetches_whole_layers() const { return whole_layers_; }
  /// What it fetches may be for a later step, and then enters the cache.
  [[nodiscard]] bool names_later_steps() const { return names_later_steps_; }
  [[nodiscard]] bool is_for_later(ExpertKey key) {
    return names_later_steps_ && predictor_->is_for_later(key);
  }

  /// Only decode steps look ahead. `ordinals` of the step's stack.
  void begin_step(const trace::Step& step, std::pair<int, int> ordinals);

  /// Whether something of a later layer may be announced when the ids of this one are known.
  [[nodiscard]] bool announces(int ordinal) const {
    return is_active() && decode_ && prefetcher_->reaches(ahead_of(ordinal));
  }

  /// Whether something may be announced before the first layer of this pass.
  [[nodiscard]] bool announces_pass() const { return is_active() && decode_ && before_passes_; }
  /// Precondition: announces_pass(). The copies wait for `known`. `predictions` as announce().
  void announce_pass(const StepRouting& routing, const StepPredictions* predictions, OpId known);

  /// The host knows the ids of a layer that needs no arrive().
  void observe(int ordinal, const StepRouting& routing) {
    predictor_->observe(ordinal, routing.activated(ordinal), routing.tokens(ordinal));
  }

  /// The ids of the layer moment.ordinal are known: the residents kept for it may leave again, and the
  /// prefetcher may drop what turned out wrong. A layer that is always fetched whole and was not announced
  /// (the first of a step, every one of a prefill) is fetched now.
  void arrive(const Moment& moment, const StepRouting& routing, OpId ids_known);

  /// The layer's own misses are issued. Precondition: announces(moment.ordinal). `predictions` is asked only
  /// by predictors that need them.
  void announce(const Moment& moment, const StepRouting& routing, const StepPredictions* predictions,
                OpId ids_known);

  /// The layer is done: forgets what was fetched and staged for it.
  void leave(int ordinal);

  void want(int target, std::span<const ExpertKey> keys) override;
  [[nodiscard]] std::span<const ExpertKey> fetched(int target) const override {
    return fetched_[index(target)];
  }
  [[nodiscard]] bool is_brought(ExpertKey key) const override;
  [[nodiscard]] bool has_arrived(ExpertKey key) const override;
  bool drop(int target, ExpertKey key) override;
  void compute_ahead(int target, std::span<const ExpertKey> keys) override;

  /// What the CPU is to begin with since the last call, of one layer.
  struct OnCpu {
    int target = -1;
    std::vector<ExpertKey> keys;
  };
  [[nodiscard]] OnCpu take_computed_ahead() { return std::exchange(on_cpu_, {}); }

  /// What was announced in the pass, since the last call.
  struct Announced {
    std::int64_t foreseeable = 0, guesses = 0, right = 0, cancelled = 0;  ///< as AccessCounts
  };
  Announced take_counts() { return std::exchange(counts_, {}); }

 private:
  static std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }
  [[nodiscard]] LayersAhead ahead_of(int ordinal) const {
    return {ordinal, ordinals_.second, offloaded_, &map_, ordinals_.first};
  }
  /// From the drive, where there is one, those of `keys` that want() will fetch.
  void read_absent(int target, std::span<const ExpertKey> keys);
  void want(int target, ExpertKey key, std::uint8_t priority);
  [[nodiscard]] std::uint8_t priority(CopyReason reason, int target) const {
    return priority_of(plan_.policy.transfer.queue, reason, target - ordinals_.first);
  }
  void show(const StepRouting& routing, const StepPredictions* predictions) {
    if (oracle_ != nullptr) oracle_->show(routing, predictions);
  }
  void note_guesses(int target, std::span<const ExpertKey> keys);
  void judge(int ordinal, std::span<const ExpertKey> activated);
  void cancel_wrong(int ordinal);

  const ExpertMap& map_;
  const Plan& plan_;
  const std::vector<std::uint8_t>& offloaded_;
  cache::ExpertCache* cache_;
  ExpertSlots& slots_;
  HostReads& reads_;
  Executor& executor_;
  std::unique_ptr<Predictor> predictor_;
  Oracle* oracle_ = nullptr;  ///< the predictor, where it is one
  std::unique_ptr<Prefetcher> prefetcher_;
  bool whole_layers_, before_passes_ = false, names_later_steps_, cancels_, splits_, crosses_steps_ = false;
  std::vector<std::vector<ExpertKey>> fetched_, kept_, staged_;  // by ordinal
  std::vector<ExpertKey> to_read_;
  std::vector<std::uint8_t> announced_;  // by ordinal, in this step
  enum : std::uint8_t { is_guessed = 1, is_kept = 2, is_activated = 4 };
  std::vector<std::uint8_t> marks_;              // by key: of the above, until its layer is done
  std::vector<std::vector<ExpertKey>> guesses_;  // by ordinal, in this step
  Announced counts_;
  OnCpu on_cpu_;
  bool decode_ = true;
  std::pair<int, int> ordinals_;
  OpId ids_known_ = no_op;  ///< of the layer that announces
};

}  // namespace pregate::sim
