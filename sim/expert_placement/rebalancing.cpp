// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/rebalancing.hpp"

#include <algorithm>
#include <deque>

#include "sim/expert_placement/token_routes.hpp"

namespace pregate::sim {

namespace {

/// Tokens by key of the last steps.
class Window {
 public:
  Window(const ExpertMap& map, std::int64_t steps)
      : map_(map), routing_(map), most_(static_cast<std::size_t>(steps)), tokens_(map.keys()) {}

  void add(const trace::Step& step) {
    routing_.load(step);
    std::vector<Entry>& entries = steps_.emplace_back();
    const auto [first, last] = map_.ordinals(step.stack);
    for (int ordinal = first; ordinal < last; ++ordinal) {
      const auto keys = routing_.activated(ordinal);
      const auto tokens = routing_.tokens(ordinal);
      for (std::size_t i = 0; i < keys.size(); ++i) {
        entries.push_back({keys[i], tokens[i]});
        tokens_[keys[i]] += tokens[i];
      }
    }
    if (steps_.size() <= most_) return;
    for (const Entry& entry : steps_.front()) tokens_[entry.key] -= entry.tokens;
    steps_.pop_front();
  }
  [[nodiscard]] std::span<const double> tokens(const MoeLayer& layer) const {
    return {tokens_.data() + layer.first_key, static_cast<std::size_t>(layer.experts)};
  }

 private:
  struct Entry {
    ExpertKey key;
    std::uint32_t tokens;
  };
  const ExpertMap& map_;
  StepRouting routing_;
  std::size_t most_;
  std::deque<std::vector<Entry>> steps_;
  std::vector<double> tokens_;  // whole
};

/// (GPU, key) of a layer's experts and copies, each once.
std::vector<std::pair<std::uint8_t, ExpertKey>> held_of(const ExpertHomes& homes, const MoeLayer& layer) {
  std::vector<std::pair<std::uint8_t, ExpertKey>> all;
  const ExpertKey end = layer.first_key + static_cast<ExpertKey>(layer.experts);
  for (ExpertKey key = layer.first_key; key < end; ++key) all.emplace_back(homes.of_key[key], key);
  const auto by_key = [](const ExpertCopy& copy, ExpertKey key) { return copy.key < key; };
  for (auto copy = std::lower_bound(homes.copies.begin(), homes.copies.end(), layer.first_key, by_key);
       copy != homes.copies.end() && copy->key < end; ++copy)
    all.emplace_back(copy->gpu, copy->key);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace

RebalancedRun run_rebalancing(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                              const ExpertHomes& start, const Rebalancing& rebalancing) {
  RebalancedRun run;
  ExpertHomes homes = start;
  PlacementJudge judging(map);
  judging.use(homes);
  Window window(map, rebalancing.window);
  std::int64_t steps = 0;
  const auto rebalance = [&] {
    ExpertHomes next{.gpus = rebalancing.gpus, .of_key = homes.of_key, .copies = {}};
    bool has_tokens = false;
    for (const MoeLayer& layer : map.layers()) {
      const auto tokens = window.tokens(layer);
      const ExpertKey end = layer.first_key + static_cast<ExpertKey>(layer.experts);
      if (std::all_of(tokens.begin(), tokens.end(), [](double each) { return each == 0; })) {
        for (const ExpertCopy& copy : homes.copies)
          if (copy.key >= layer.first_key && copy.key < end) next.copies.push_back(copy);
        continue;
      }
      has_tokens = true;
      ReplicaShape shape;
      shape.slots = layer.experts + rebalancing.redundant;
      shape.gpus = rebalancing.gpus;
      set_replicas(next, layer, balance_replicas(tokens, shape));
      const auto before = held_of(homes, layer), after = held_of(next, layer);
      std::vector<std::pair<std::uint8_t, ExpertKey>> arrived;
      std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                          std::back_inserter(arrived));
      run.copies += static_cast<std::int64_t>(arrived.size());
      run.bytes.count += static_cast<std::int64_t>(arrived.size()) * layer.expert_bytes.count;
    }
    run.rebalancings += has_tokens ? 1 : 0;
    homes = std::move(next);
    judging.use(homes);
  };
  each_step(source, span, [&](const trace::Step& step) {
    // Before the step, so that none is paid for that no step gains from.
    if (steps > 0 && steps % rebalancing.every == 0) rebalance();
    judging.watch(step);
    window.add(step);
    ++steps;
  });
  run.quality = judging.quality();
  return run;
}

}  // namespace pregate::sim
