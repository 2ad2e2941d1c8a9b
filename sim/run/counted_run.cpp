// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/counted_run.hpp"

#include <algorithm>

#include "sim/cost/cost_model.hpp"

namespace pregate::sim {

namespace {

constexpr std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

Picoseconds at_host_memory(const CopyCost& copy) {
  return copy.host_bound ? copy.duration - copy.fixed : Picoseconds{};
}

CopyTrain copies_of_expert(const CostModel& costs) {
  const std::int64_t whole_chunks = costs.chunks() - 1;
  return {.operations = costs.chunks(),
          .duration = costs.fetch_train(),
          .at_host_memory = at_host_memory(costs.fetch()) * whole_chunks + at_host_memory(costs.last_chunk()),
          .bytes = costs.fetch().bytes * whole_chunks + costs.last_chunk().bytes};
}

}  // namespace

CountedRun::CountedRun(const ExpertMap& map, const Plan& plan, CostModel& costs)
    : map_(map),
      costs_(costs),
      cache_(plan.cache_slots > 0 ? plan.make_counter() : nullptr),
      lookahead_(plan.policy.lookahead.kind),
      distance_(plan.policy.lookahead.distance),
      offloads_(plan.offloads()),
      measures_all_phases_(plan.measures_all_phases),
      clock_(copies_of_expert(costs), plan.offloads()),
      hits_(map.layers().size()),
      alike_(static_cast<std::size_t>(costs.layer_classes())),
      announced_(map.layers().size()) {}

/// Nothing that the cache does depends on time, so a pass's layers are looked up before it begins.
void CountedRun::look_up(const Pass& pass, AccessCounts& counts) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const std::span<const cache::BatchRange> activated = pass.routing.ranges(first, last);
  std::uint32_t* const hits = hits_.data() + first;
  if (cache_) cache_->count(static_cast<std::uint32_t>(first), pass.routing.all_keys(), activated, hits);
  for (std::size_t i = 0; i < activated.size(); ++i) {
    if (!offloads_) hits[i] = activated[i].size();
    counts.hits += hits[i];
    counts.misses += activated[i].size() - hits[i];
  }
}

Picoseconds CountedRun::run(const Pass& pass) {
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  AccessCounts& counts = decode ? decode_counts_ : other_counts_;
  costs_.begin_step(pass.info.shape);
  tokens_ = pass.info.step.tokens;
  layer_.records_block = decode || measures_all_phases_;
  look_up(pass, counts);
  if (costs_.has_step_overhead()) clock_.compute(costs_.step_overhead());
  int ordinal = pass.first_ordinal;
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) {
      clock_.compute(costs_.layer(layer.layer_class).attention);
    } else if (lookahead_ == LookaheadKind::none) {
      moe_layer(ordinal++, index(layer.layer_class), pass.routing);
    } else {
      moe_layer_ahead(ordinal++, index(layer.layer_class), pass, counts);
    }
  }
  for (std::size_t layer_class = 0; layer_class < alike_.size(); ++layer_class) run_alike(layer_class);
  if (pass.info.step.phase != trace::Phase::encoder) clock_.compute(costs_.head());
  return clock_.computed();
}

void CountedRun::describe(std::size_t layer_class, std::span<const std::uint32_t> tokens,
                          std::uint32_t routed) {
  const auto of = static_cast<int>(layer_class);
  const LayerCost& cost = costs_.layer(of);
  layer_.attention_and_gate = cost.attention + cost.gate;
  layer_.readback = offloads_ ? cost.gate_readback : Picoseconds{};
  layer_.experts = costs_.experts(of, tokens, routed, tokens_, true);
}

void CountedRun::moe_layer(int ordinal, std::size_t layer_class, const StepRouting& routing) {
  const std::uint32_t activated = routing.activated_count(ordinal);
  Alike& alike = alike_[layer_class];
  // Every expert has one token: such layers of a class differ in their misses alone.
  const bool counts = tokens_ == 1 && routing.routed(ordinal) == activated;
  if (!counts || alike.activated != activated) begin(layer_class, activated);
  ++alike.layers[misses(ordinal, routing)];
  alike.any = true;
  if (!counts) run_alike(layer_class, routing.tokens(ordinal), routing.routed(ordinal));
}

[[gnu::noinline]] void CountedRun::begin(std::size_t layer_class, std::uint32_t activated) {
  run_alike(layer_class);
  Alike& alike = alike_[layer_class];
  alike.activated = activated;
  if (alike.layers.size() <= activated) alike.layers.resize(activated + 1);
}

void CountedRun::run_alike(std::size_t layer_class) {
  const std::uint32_t activated = alike_[layer_class].activated;
  if (ones_.size() < activated) ones_.resize(activated, 1);
  run_alike(layer_class, {ones_.data(), activated}, activated);
}

/// Runs what was counted, and forgets it.
void CountedRun::run_alike(std::size_t layer_class, std::span<const std::uint32_t> tokens,
                           std::uint32_t routed) {
  Alike& alike = alike_[layer_class];
  if (!alike.any) return;
  describe(layer_class, tokens, routed);
  clock_.run_on_demand(layer_, alike.layers);
  std::fill(alike.layers.begin(), alike.layers.end(), 0);
  alike.any = false;
}

/// Decode steps announce; a layer that is fetched whole and that nobody announced is fetched whole now.
void CountedRun::moe_layer_ahead(int ordinal, std::size_t layer_class, const Pass& pass,
                                 AccessCounts& counts) {
  const StepRouting& routing = pass.routing;
  const bool whole = lookahead_ == LookaheadKind::all_next;
  const auto experts_of = [&](int layer) {
    return whole ? std::int64_t{map_.layers()[index(layer)].experts} : std::int64_t{misses(layer, routing)};
  };
  const std::int64_t missed = misses(ordinal, routing);
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  const bool is_announced = decode && ordinal - pass.first_ordinal >= distance_;
  const int target = ordinal + distance_;
  const bool announces = offloads_ && decode && target < map_.ordinals(pass.info.step.stack).second;

  describe(layer_class, routing.tokens(ordinal), routing.routed(ordinal));
  const Announced& early = announced_[index(ordinal)];
  layer_.ready = is_announced && early.experts > 0 ? &early.ready : nullptr;
  layer_.misses = is_announced || !offloads_ ? 0 : experts_of(ordinal);
  layer_.announced = announces ? experts_of(target) : 0;
  if (is_announced || whole) counts.prefetched += missed;
  if (whole && offloads_) counts.wasted += experts_of(ordinal) - missed;
  const StreamHead& last_copy = clock_.run(layer_);
  if (announces) announced_[index(target)] = {layer_.announced, last_copy};
}

}  // namespace pregate::sim
