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
/// and the experts operation waits for the last of them. When a layer begins, all that was copied or read
/// back before has been waited for, so its operations follow each other without a gap; and layers with the
/// same durations take the same time. So it keeps no slots, and where one token's layers miss equally many
/// experts it only counts them, until the step ends.
///
/// Same decision points as Planner, and the same times to the picosecond: Planner remains the definition, and
/// the tests compare the two (tests/sim/counting_planner_test.cpp).
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

  CountingPlanner(const ExpertMap& map, const Plan& plan, CostModel& costs, TimedExecutor& executor)
      : map_(map),
        costs_(costs),
        executor_(executor),
        cache_(plan.cache_slots > 0 ? plan.make_counter() : nullptr),
        measures_all_phases_(plan.measures_all_phases),
        hits_(map.layers().size()),
        alike_(static_cast<std::size_t>(costs.layer_classes())) {
    const std::int64_t whole_chunks = costs.chunks() - 1;
    layer_.expert = {
        .operations = costs.chunks(),
        .duration = costs.fetch().duration * whole_chunks + costs.last_chunk().duration,
        .at_host_memory = at_host_memory(costs.fetch()) * whole_chunks + at_host_memory(costs.last_chunk()),
        .bytes = costs.fetch().bytes * whole_chunks + costs.last_chunk().bytes};
  }

  /// Nothing that the cache does depends on time, so a step's layers are looked up before it begins.
  void routing_known(const trace::Step& step, const StepRouting& routing) {
    const bool decode = step.phase == trace::Phase::decode;
    step_tokens_ = step.tokens;
    layer_.records_block = decode || measures_all_phases_;
    const auto [first, last] = map_.ordinals(step.stack);
    const std::span<const cache::BatchRange> activated = routing.ranges(first, last);
    std::uint32_t* const hits = hits_.data() + first;
    if (cache_) cache_->count(static_cast<std::uint32_t>(first), routing.all_keys(), activated, hits);
    AccessCounts& counts = decode ? decode_counts_ : other_counts_;
    for (std::size_t i = 0; i < activated.size(); ++i) {
      counts.hits += hits[i];
      counts.misses += activated[i].size() - hits[i];
    }
  }

  void begin_step(const trace::Step&) {
    if (costs_.step_overhead().count > 0) compute(OpKind::step_overhead, costs_.step_overhead());
  }

  void dense_layer(int, int layer_class) {
    compute(OpKind::dense_layer, costs_.layer(layer_class).attention);
  }

  void begin_moe_layer(int, int layer_class) { layer_class_ = static_cast<std::size_t>(layer_class); }

  void gate_known(int ordinal, const StepRouting& routing, const StepPredictions*) {
    const std::uint32_t activated = routing.activated_count(ordinal);
    const std::uint32_t misses = activated - hits_[static_cast<std::size_t>(ordinal)];
    if (step_tokens_ != 1 || routing.routed(ordinal) != activated) {
      issue(layer_class_, routing.tokens(ordinal), routing.routed(ordinal), misses, 1);
      return;
    }
    // Every expert has one token: such layers of a class differ in their misses alone.
    Alike& alike = alike_[layer_class_];
    if (alike.activated != activated) begin(alike, activated);
    ++alike.layers[misses];
  }

  TimedPoint end_step() {
    for (Alike& alike : alike_) issue(alike);
    if (costs_.head().count > 0) compute(OpKind::head, costs_.head());
    return executor_.last_computed();
  }

  [[nodiscard]] const AccessCounts& decode_counts() const { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const { return other_counts_; }

 private:
  /// Layers of one class in a step of one token, by how many of their experts miss.
  struct Alike {
    std::uint32_t activated = 0;
    std::vector<std::int64_t> layers = {0};  // by misses, 0 to activated
  };

  static Picoseconds at_host_memory(const CopyCost& copy) {
    return copy.host_bound ? copy.duration - copy.fixed : Picoseconds{};
  }

  void compute(OpKind kind, const GpuTime& time) {
    executor_.issue({.kind = kind, .stream = StreamId::compute, .duration = time.whole(), .gpu = &time}, {});
  }

  void issue(std::size_t layer_class, std::span<const std::uint32_t> tokens, std::uint32_t routed,
             std::size_t misses, std::int64_t layers) {
    const auto index = static_cast<int>(layer_class);
    const LayerCost& cost = costs_.layer(index);
    layer_.attention = cost.attention;
    layer_.gate = cost.gate;
    layer_.readback = cost.gate_readback;
    layer_.experts = costs_.experts(index, tokens, routed, step_tokens_, true);
    layer_.misses = static_cast<std::int64_t>(misses);
    executor_.issue_layers(layer_, layers);
  }

  [[gnu::noinline]] void begin(Alike& alike, std::uint32_t activated) {
    issue(alike);
    alike.activated = activated;
    if (alike.layers.size() <= activated) alike.layers.resize(activated + 1);
  }

  /// Issues what was counted, and forgets it.
  void issue(Alike& alike) {
    if (ones_.size() < alike.activated) ones_.resize(alike.activated, 1);
    const auto layer_class = static_cast<std::size_t>(&alike - alike_.data());
    for (std::size_t misses = 0; misses < alike.layers.size(); ++misses) {
      std::int64_t& layers = alike.layers[misses];
      if (layers == 0) continue;
      issue(layer_class, {ones_.data(), alike.activated}, alike.activated, misses, layers);
      layers = 0;
    }
  }

  const ExpertMap& map_;
  CostModel& costs_;
  TimedExecutor& executor_;
  std::unique_ptr<cache::HitCounter> cache_;
  bool measures_all_phases_;
  std::vector<std::uint32_t> hits_;     // by ordinal, of the step; 0 without a cache
  std::vector<Alike> alike_;            // by layer class
  TimedExecutor::OnDemandLayer layer_;  // of the layer that is issued
  std::vector<std::uint32_t> ones_;
  // of the step
  int step_tokens_ = 0;
  // of the layer
  std::size_t layer_class_ = 0;

  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
