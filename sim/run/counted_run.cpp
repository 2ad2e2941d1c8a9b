// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/counted_run.hpp"

#include <algorithm>

#include "sim/run/copy_train.hpp"

namespace pregate::sim {

CountedRun::CountedRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs)
    : costs_(costs),
      decisions_(map, plan),
      measures_all_phases_(plan.measures_all_phases),
      clock_(topology, copies_of_expert(costs), plan.offloads()) {}

Picoseconds CountedRun::run(const Pass& pass) {
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  AccessCounts& counts = decode ? decode_counts_ : other_counts_;
  costs_.begin_step(pass.info.shape);
  tokens_ = pass.info.step.tokens;
  clock_.begin_pass(decode || measures_all_phases_);
  // Nothing that the cache does depends on time, so a pass's layers are looked up before it begins.
  decisions_.look_up(pass, counts);
  if (costs_.has_step_overhead()) clock_.compute(costs_.step_overhead());
  if (decisions_.announces()) {
    run_announcing(pass);
  } else if (pass.routing.is_one_each()) {
    run_alike_on_demand(pass);
  } else {
    run_on_demand(pass);
  }
  if (pass.info.step.phase != trace::Phase::encoder) clock_.compute(costs_.head());
  return clock_.end_pass();
}

LayerTimes CountedRun::times_of(std::size_t layer_class, std::span<const std::uint32_t> tokens,
                                std::uint32_t routed) {
  const auto of = static_cast<int>(layer_class);
  const LayerCost& cost = costs_.layer(of);
  return {cost.attention + cost.gate, costs_.experts(of, tokens, routed, tokens_, true),
          decisions_.offloads() ? cost.gate_readback : Picoseconds{}};
}

/// Of layers where `activated` experts have one token each.
LayerTimes CountedRun::times_of_alike(std::size_t layer_class, std::uint32_t activated) {
  if (ones_.size() < activated) ones_.resize(activated, 1);
  return times_of(layer_class, {ones_.data(), activated}, activated);
}

const CountedRun::StackInOrder& CountedRun::in_order(const Pass& pass) {
  const std::size_t number = place_of(pass.info.step.stack);
  if (number >= stacks_.size()) stacks_.resize(number + 1);
  StackInOrder& stack = stacks_[number];
  if (stack.is_known) return stack;
  stack.is_known = true;
  std::uint32_t place = 0;
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) {
      stack.dense.push_back(layer.layer_class);
      continue;
    }
    const std::size_t layer_class = place_of(layer.layer_class);
    const std::uint32_t activated =
        pass.routing.activated_count(pass.first_ordinal + static_cast<int>(place));
    auto group = std::find_if(stack.alike.begin(), stack.alike.end(), [&](const AlikeLayers& known) {
      return known.layer_class == layer_class && known.activated == activated;
    });
    if (group == stack.alike.end()) group = stack.alike.insert(group, {layer_class, activated, {}});
    stack.kinds.push_back(static_cast<std::uint32_t>(group - stack.alike.begin()));
    group->places.push_back(place++);
  }
  return stack;
}

void CountedRun::run_on_demand(const Pass& pass) {
  int ordinal = pass.first_ordinal;
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) {
      clock_.compute(costs_.layer(layer.layer_class).attention);
      continue;
    }
    clock_.run_on_demand(
        times_of(place_of(layer.layer_class), pass.routing.tokens(ordinal), pass.routing.routed(ordinal)),
        decisions_.misses(ordinal, pass.routing), 1);
    ++ordinal;
  }
}

/// Of a pass whose experts have one token each: the order of the layers does not matter.
void CountedRun::run_alike_on_demand(const Pass& pass) {
  const StackInOrder& stack = in_order(pass);
  for (const int layer_class : stack.dense) clock_.compute(costs_.layer(layer_class).attention);
  const std::uint32_t* const hits = decisions_.hits_from(pass.first_ordinal);
  for (const AlikeLayers& alike : stack.alike) {
    const std::uint32_t activated = alike.activated;
    const LayerTimes times = times_of_alike(alike.layer_class, activated);
    if (decisions_.hits_alike()) {
      const std::uint32_t misses = activated - hits[alike.places.front()];
      clock_.run_on_demand(times, misses, static_cast<std::int64_t>(alike.places.size()));
      continue;
    }
    layers_.assign(activated + 1, 0);
    for (const std::uint32_t place : alike.places) ++layers_.data()[activated - hits[place]];
    for (std::uint32_t misses = 0; misses <= activated; ++misses)
      if (layers_[misses] > 0) clock_.run_on_demand(times, misses, layers_[misses]);
  }
}

/// To the clock, each time anew, as another pass has other prices.
const std::uint32_t* CountedRun::describe_layers(const Pass& pass) {
  if (pass.routing.is_one_each()) {
    const StackInOrder& stack = in_order(pass);
    for (const AlikeLayers& alike : stack.alike) {
      clock_.describe(times_of_alike(alike.layer_class, alike.activated),
                      static_cast<std::int64_t>(alike.places.size()));
    }
    return stack.kinds.data();
  }
  kinds_.clear();
  int ordinal = pass.first_ordinal;
  for (const PassLayer& layer : pass.layers) {
    if (!layer.moe) continue;
    kinds_.push_back(clock_.describe(
        times_of(place_of(layer.layer_class), pass.routing.tokens(ordinal), pass.routing.routed(ordinal)),
        1));
    ++ordinal;
  }
  return kinds_.data();
}

void CountedRun::run_announcing(const Pass& pass) {
  AnnouncingLayers announcing = decisions_.announcing();
  announcing.kinds = describe_layers(pass);
  clock_.announce(announcing);
  std::size_t behind = 0;  // each other, not yet run
  for (const PassLayer& layer : pass.layers) {
    if (layer.moe) {
      ++behind;
      continue;
    }
    clock_.run_next(behind);
    behind = 0;
    clock_.compute(costs_.layer(layer.layer_class).attention);
  }
  clock_.run_next(behind);
}

}  // namespace pregate::sim
