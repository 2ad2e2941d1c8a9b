// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/counted_run.hpp"

#include <algorithm>

#include "sim/run/copy_train.hpp"

namespace pregate::sim {

namespace {}  // namespace

CountedRun::CountedRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs)
    : map_(map),
      costs_(costs),
      announces_(plan.policy.lookahead.predictor->predicts()),
      whole_layers_(plan.policy.lookahead.predictor->is_whole_layer),
      distance_(plan.policy.lookahead.distance),
      offloads_(plan.offloads()),
      measures_all_phases_(plan.measures_all_phases),
      clock_(topology, copies_of_expert(costs), plan.offloads()),
      hits_(map.layers().size()),
      alike_(static_cast<std::size_t>(costs.layer_classes())),
      announced_(map.layers().size()) {
  if (plan.cache_slots > 0) cache_.emplace(map, plan);
}

/// Nothing that the cache does depends on time, so a pass's layers are looked up before it begins.
void CountedRun::look_up(const Pass& pass, AccessCounts& counts) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const std::span<const cache::BatchRange> activated = pass.routing.ranges(first, last);
  std::uint32_t* const hits = hits_.data() + first;
  if (cache_) cache_->count(pass.info.step, pass.routing, hits);
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
  clock_.begin_pass(decode || measures_all_phases_);
  look_up(pass, counts);
  if (costs_.has_step_overhead()) clock_.compute(costs_.step_overhead());
  int ordinal = pass.first_ordinal;
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) {
      clock_.compute(costs_.layer(layer.layer_class).attention);
    } else if (!announces_) {
      moe_layer(ordinal++, place_of(layer.layer_class), pass.routing);
    } else {
      moe_layer_ahead(ordinal++, place_of(layer.layer_class), pass, counts);
    }
  }
  for (Alike& alike : alike_) {
    run_alike(alike);
    alike.kind = unknown;  // another pass has other prices
  }
  if (pass.info.step.phase != trace::Phase::encoder) clock_.compute(costs_.head());
  return clock_.end_pass();
}

std::uint32_t CountedRun::describe(std::size_t layer_class, std::span<const std::uint32_t> tokens,
                                   std::uint32_t routed) {
  const auto of = static_cast<int>(layer_class);
  const LayerCost& cost = costs_.layer(of);
  return clock_.describe({cost.attention + cost.gate, costs_.experts(of, tokens, routed, tokens_, true),
                          offloads_ ? cost.gate_readback : Picoseconds{}});
}

/// Of layers where `activated` experts have one token each.
std::uint32_t CountedRun::kind_of(std::size_t layer_class, std::uint32_t activated) {
  Alike& alike = alike_[layer_class];
  if (alike.kind != unknown && alike.activated == activated) return alike.kind;
  run_alike(alike);
  alike.activated = activated;
  if (alike.layers.size() <= activated) alike.layers.resize(activated + 1);
  if (ones_.size() < activated) ones_.resize(activated, 1);
  return alike.kind = describe(layer_class, {ones_.data(), activated}, activated);
}

void CountedRun::moe_layer(int ordinal, std::size_t layer_class, const StepRouting& routing) {
  if (is_alike(ordinal, routing)) {
    kind_of(layer_class, routing.activated_count(ordinal));
    Alike& alike = alike_[layer_class];
    ++alike.layers[misses(ordinal, routing)];
    alike.any = true;
    return;
  }
  const std::uint32_t kind = describe(layer_class, routing.tokens(ordinal), routing.routed(ordinal));
  single_.assign(routing.activated_count(ordinal) + 1, 0);
  single_[misses(ordinal, routing)] = 1;
  clock_.run_on_demand(kind, single_);
}

/// Runs what was counted, and forgets it.
void CountedRun::run_alike(Alike& alike) {
  if (!alike.any) return;
  clock_.run_on_demand(alike.kind, alike.layers);
  std::fill(alike.layers.begin(), alike.layers.end(), 0);
  alike.any = false;
}

/// Decode steps announce; a layer that is fetched whole and that nobody announced is fetched whole now.
void CountedRun::moe_layer_ahead(int ordinal, std::size_t layer_class, const Pass& pass,
                                 AccessCounts& counts) {
  const StepRouting& routing = pass.routing;
  const bool whole = whole_layers_;
  const auto experts_of = [&](int layer) {
    return whole ? static_cast<std::uint32_t>(map_.layers()[place_of(layer)].experts)
                 : misses(layer, routing);
  };
  const std::uint32_t missed = misses(ordinal, routing);
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  const bool is_announced = decode && ordinal - pass.first_ordinal >= distance_;
  const int target = ordinal + distance_;
  const bool announces = offloads_ && decode && target < map_.ordinals(pass.info.step.stack).second;

  const CountedCopies& early = announced_[place_of(ordinal)];
  const CountedLayer layer{
      .kind = is_alike(ordinal, routing)
                  ? kind_of(layer_class, routing.activated_count(ordinal))
                  : describe(layer_class, routing.tokens(ordinal), routing.routed(ordinal)),
      .misses = is_announced || !offloads_ ? 0 : experts_of(ordinal),
      .announced = announces ? experts_of(target) : 0,
      .ready = is_announced ? early : CountedCopies{}};
  if (is_announced || whole) counts.prefetched += missed;
  if (is_announced && offloads_) {
    const std::uint32_t activated = routing.activated_count(ordinal);
    counts.foreseeable += activated;
    counts.guesses += whole ? experts_of(ordinal) : activated;
    counts.right_guesses += activated;
  }
  if (whole && offloads_) counts.wasted += experts_of(ordinal) - missed;
  const CountedCopies& copies = clock_.run(layer);
  if (announces) announced_[place_of(target)] = layer.announced > 0 ? copies : CountedCopies{};
}

}  // namespace pregate::sim
