// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/counted_run.hpp"

#include <algorithm>

#include "sim/run/copy_train.hpp"

namespace pregate::sim {

CountedRun::CountedRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs)
    : map_(map),
      costs_(costs),
      decisions_(map, plan),
      measures_all_phases_(plan.measures_all_phases),
      clock_(topology, copies_of_expert(costs), plan.offloads()),
      alike_(static_cast<std::size_t>(costs.layer_classes())),
      announced_(map.layers().size()),
      ahead_(map.layers().size()) {}

Picoseconds CountedRun::run(const Pass& pass) {
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  AccessCounts& counts = decode ? decode_counts_ : other_counts_;
  costs_.begin_step(pass.info.shape);
  tokens_ = pass.info.step.tokens;
  clock_.begin_pass(decode || measures_all_phases_);
  // Nothing that the cache does depends on time, so a pass's layers are looked up before it begins.
  decisions_.look_up(pass, counts);
  if (costs_.has_step_overhead()) clock_.compute(costs_.step_overhead());
  if (decisions_.announces())  // nothing crosses from one pass to the next
    std::fill(announced_.begin(), announced_.end(), CountedClock::nothing_announced);
  if (!pass.routing.is_one_each()) {
    run_layers(pass);
  } else if (decisions_.announces()) {
    run_alike_ahead(pass);
  } else {
    count_layers(pass);
  }
  for (Alike& alike : alike_) {
    run_alike(alike);
    alike.kind = unknown;  // another pass has other prices
  }
  if (pass.info.step.phase != trace::Phase::encoder) clock_.compute(costs_.head());
  return clock_.end_pass();
}

void CountedRun::run_layers(const Pass& pass) {
  int ordinal = pass.first_ordinal;
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) {
      run_ahead();
      clock_.compute(costs_.layer(layer.layer_class).attention);
    } else if (!decisions_.announces()) {
      moe_layer(ordinal++, place_of(layer.layer_class), pass.routing);
    } else {
      moe_layer_ahead(ordinal++, place_of(layer.layer_class), pass.routing);
    }
  }
  run_ahead();
}

std::uint32_t CountedRun::describe(std::size_t layer_class, std::span<const std::uint32_t> tokens,
                                   std::uint32_t routed) {
  const auto of = static_cast<int>(layer_class);
  const LayerCost& cost = costs_.layer(of);
  return clock_.describe({cost.attention + cost.gate, costs_.experts(of, tokens, routed, tokens_, true),
                          decisions_.offloads() ? cost.gate_readback : Picoseconds{}});
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
    ++alike.layers[decisions_.misses(ordinal, routing)];
    alike.any = true;
    return;
  }
  const std::uint32_t kind = describe(layer_class, routing.tokens(ordinal), routing.routed(ordinal));
  single_.assign(routing.activated_count(ordinal) + 1, 0);
  single_[decisions_.misses(ordinal, routing)] = 1;
  clock_.run_on_demand(kind, single_);
}

/// Of a pass whose experts have one token each: the order of the layers does not matter.
void CountedRun::count_layers(const Pass& pass) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const cache::BatchRange* range = pass.routing.ranges(first, last).data();
  const std::uint32_t* hits = decisions_.hits_from(first);
  Alike* const alike = alike_.data();
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) [[unlikely]] {
      clock_.compute(costs_.layer(layer.layer_class).attention);
      continue;
    }
    const std::uint32_t activated = range++->size();
    Alike& its = alike[layer.layer_class];
    if (its.activated != activated || its.kind == unknown) [[unlikely]]
      kind_of(place_of(layer.layer_class), activated);
    ++its.layers.data()[activated - *hits++];
    its.any = true;
  }
}

/// Runs what was counted, and forgets it.
void CountedRun::run_alike(Alike& alike) {
  if (!alike.any) return;
  clock_.run_on_demand(alike.kind, alike.layers);
  std::fill(alike.layers.begin(), alike.layers.end(), 0);
  alike.any = false;
}

void CountedRun::moe_layer_ahead(int ordinal, std::size_t layer_class, const StepRouting& routing) {
  const CountedDecisions::Copies decided = decisions_.copies(ordinal);
  if (ahead_count_ == 0) first_ahead_ = place_of(ordinal);
  ahead_[ahead_count_++] = {
      .kind = is_alike(ordinal, routing)
                  ? kind_of(layer_class, routing.activated_count(ordinal))
                  : describe(layer_class, routing.tokens(ordinal), routing.routed(ordinal)),
      .misses = decided.own,
      .announced = decided.announced,
      .announces = decided.announces};
}

/// The same of a pass whose experts have one token each.
void CountedRun::run_alike_ahead(const Pass& pass) {
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  const cache::BatchRange* range = pass.routing.ranges(first, last).data();
  const Alike* const alike = alike_.data();
  int ordinal = first;
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) [[unlikely]] {
      run_ahead();
      clock_.compute(costs_.layer(layer.layer_class).attention);
      continue;
    }
    if (ahead_count_ == 0) first_ahead_ = place_of(ordinal);
    const std::uint32_t activated = range++->size();
    const Alike& its = alike[layer.layer_class];
    if (its.activated != activated || its.kind == unknown) [[unlikely]]
      kind_of(place_of(layer.layer_class), activated);
    const CountedDecisions::Copies decided = decisions_.copies(ordinal++);
    ahead_.data()[ahead_count_++] = {its.kind, decided.own, decided.announced, decided.announces};
  }
  run_ahead();
}

void CountedRun::run_ahead() {
  if (ahead_count_ == 0) return;
  clock_.run({ahead_.data(), ahead_count_}, place_of(decisions_.distance()),
             announced_.data() + first_ahead_);
  ahead_count_ = 0;
}

}  // namespace pregate::sim
