// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/timed_executor.hpp"
#include "sim/policy/access_counts.hpp"
#include "sim/policy/plan.hpp"
#include "sim/policy/routing.hpp"
#include "sim/policy/trace_scan.hpp"

namespace pregate::sim {

/// The planner of plain on-demand runs that nobody records. There, how many experts a layer misses decides
/// its times, not which they are nor in which slots: every copy of a layer waits for the layer's ids alone
/// (the slots it overwrites were last read in an earlier layer), all copies follow each other on one stream,
/// and the experts operation waits for the last of them. So it keeps no slots and issues the copies of a
/// layer as one train.
///
/// Same decision points as Planner, and the same times to the picosecond: Planner remains the definition, and
/// the tests compare the two (tests/sim/engines_agree_test.cpp).
class CountingPlanner {
 public:
  /// Whether the above holds. A part that makes a copy depend on anything else, or some experts of a set
  /// differ from others, belongs into this list.
  static bool serves(const Plan& plan, const CostModel& costs, const TraceScan& scan) {
    const int most_activated =
        std::max({scan.most_activated, scan.most_activated_prefill, scan.most_activated_encoder});
    const bool runs_in_waves = most_activated > plan.buffer_slots + plan.prefill_slots;
    const PolicySpec& policy = plan.policy;
    return policy.lookahead.kind == LookaheadKind::none && policy.transfer.queue == TransferQueue::fifo &&
           policy.miss.service == MissService::fetch && policy.transfer.write_back == WriteBack::none &&
           policy.compute.experts == ExpertCompute::grouped && costs.device_copy().count == 0 &&
           !runs_in_waves && std::count(plan.pinned.begin(), plan.pinned.end(), 0) == std::ssize(plan.pinned);
  }

  CountingPlanner(const ExpertMap&, const Plan& plan, CostModel& costs, TimedExecutor& executor)
      : costs_(costs),
        executor_(executor),
        cache_(plan.cache_slots > 0 ? plan.make_cache() : nullptr),
        one_domain_(plan.policy.cache.scope == CacheScope::global),
        measures_all_phases_(plan.measures_all_phases) {
    const std::int64_t whole_chunks = costs.chunks() - 1;
    expert_copies_ = {.operations = costs.chunks(),
                      .duration = costs.fetch().duration * whole_chunks + costs.last_chunk().duration,
                      .bytes = costs.fetch().bytes * whole_chunks + costs.last_chunk().bytes};
  }

  void begin_step(const trace::Step& step) {
    step_tokens_ = step.tokens;
    const bool decode = step.phase == trace::Phase::decode;
    records_blocks_ = decode || measures_all_phases_;
    counts_now_ = decode ? &decode_counts_ : &other_counts_;
    ++step_;
    if (costs_.step_overhead().count > 0) compute(OpKind::step_overhead, costs_.step_overhead(), {});
  }

  void dense_layer(int, int layer_class) {
    compute(OpKind::dense_layer, costs_.layer(layer_class).attention, {});
  }

  void begin_moe_layer(int, int layer_class) {
    layer_class_ = layer_class;
    const LayerCost& cost = costs_.layer(layer_class);
    attention_ = cost.attention;
    block_first_ = compute(OpKind::attention, cost.attention, {});
    TimedExecutor::Dependencies after_gate;
    const TimedPoint gate = compute(OpKind::gate, cost.gate, {});
    after_gate.add(gate);
    ids_known_ = executor_.issue(
        {.kind = OpKind::gate_readback, .stream = StreamId::d2h, .duration = cost.gate_readback}, after_gate);
  }

  void gate_known(int ordinal, const StepRouting& routing, const StepPredictions*) {
    const std::span<const ExpertKey> activated = routing.activated(ordinal);
    const auto all = static_cast<std::int64_t>(activated.size());
    const std::int64_t hits =
        cache_ ? cache_->access(one_domain_ ? 0U : static_cast<std::uint32_t>(ordinal), activated) : 0;
    counts_now_->hits += hits;
    counts_now_->misses += all - hits;
    const Picoseconds duration = experts(routing.tokens(ordinal), routing.routed(ordinal));
    TimedExecutor::Dependencies dependencies;
    dependencies.add(ids_known_);
    TimedPoint copied;
    if (hits < all) {
      copied = executor_.issue_fetches(expert_copies_, all - hits, dependencies);
      dependencies.add_copy(copied);
    }
    last_ = compute(OpKind::experts, duration, dependencies);
    if (records_blocks_) executor_.record_block(block_first_, attention_, last_);
  }

  TimedPoint end_step() {
    if (costs_.head().count > 0) compute(OpKind::head, costs_.head(), {});
    return last_;
  }

  [[nodiscard]] const AccessCounts& decode_counts() const { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const { return other_counts_; }

 private:
  [[gnu::always_inline]] const TimedPoint& compute(OpKind kind, Picoseconds duration,
                                                   const TimedExecutor::Dependencies& dependencies) {
    last_ = executor_.issue({.kind = kind, .stream = StreamId::compute, .duration = duration}, dependencies);
    return last_;
  }

  /// Duration of the experts operation. One token's experts cost the same in every layer of a class that
  /// activates as many.
  Picoseconds experts(std::span<const std::uint32_t> tokens, std::uint32_t routed) {
    if (step_tokens_ != 1 || routed != tokens.size())
      return costs_.experts(layer_class_, tokens, routed, step_tokens_, true);
    const auto layer_class = static_cast<std::size_t>(layer_class_);
    if (layer_class >= known_.size()) known_.resize(layer_class + 1);
    KnownExperts& known = known_[layer_class];
    if (known.step != step_ || known.count != routed)
      known = {step_, routed, costs_.experts(layer_class_, tokens, routed, step_tokens_, true)};
    return known.duration;
  }

  struct KnownExperts {
    std::int64_t step = -1;
    std::uint32_t count = 0;
    Picoseconds duration;
  };

  CostModel& costs_;
  TimedExecutor& executor_;
  std::unique_ptr<cache::ExpertCache> cache_;
  bool one_domain_, measures_all_phases_;
  TimedExecutor::CopyTrain expert_copies_;  // of one expert
  // of the step
  int step_tokens_ = 0;
  bool records_blocks_ = true;
  AccessCounts* counts_now_ = nullptr;
  std::int64_t step_ = 0;
  std::vector<KnownExperts> known_;  // by layer class: duration with so many experts in that step
  // of the layer
  int layer_class_ = 0;
  Picoseconds attention_;
  TimedPoint block_first_, ids_known_, last_;

  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
