// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/rebalancing.hpp"

#include <algorithm>
#include <deque>

#include "sim/expert_placement/token_routes.hpp"

namespace pregate::sim {

/// Tokens by key of the last steps.
class Rebalancer::Window {
 public:
  Window(const ExpertMap& map, std::int64_t steps)
      : map_(map), most_(static_cast<std::size_t>(steps)), tokens_(map.keys()) {}

  void add(const StepRouting& routing, int stack) {
    std::vector<Entry>& entries = steps_.emplace_back();
    const auto [first, last] = map_.ordinals(stack);
    for (int ordinal = first; ordinal < last; ++ordinal) {
      const auto keys = routing.activated(ordinal);
      const auto tokens = routing.tokens(ordinal);
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
  std::size_t most_;
  std::deque<std::vector<Entry>> steps_;
  std::vector<double> tokens_;  // whole
};

namespace {

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

Rebalancer::Rebalancer(const ExpertMap& map, ExpertHomes start, const Rebalancing& rebalancing)
    : map_(map),
      homes_(std::move(start)),
      rebalancing_(rebalancing),
      window_(std::make_unique<Window>(map, rebalancing.window)) {}

Rebalancer::~Rebalancer() = default;

bool Rebalancer::is_due() const { return steps_ > 0 && steps_ % rebalancing_.every == 0; }

const std::vector<ExpertArrival>& Rebalancer::rebalance() {
  arrived_.clear();
  ExpertHomes next{.gpus = rebalancing_.gpus, .of_key = homes_.of_key, .copies = {}};
  bool has_tokens = false;
  for (const MoeLayer& layer : map_.layers()) {
    const auto tokens = window_->tokens(layer);
    const ExpertKey end = layer.first_key + static_cast<ExpertKey>(layer.experts);
    if (std::all_of(tokens.begin(), tokens.end(), [](double each) { return each == 0; })) {
      for (const ExpertCopy& copy : homes_.copies)
        if (copy.key >= layer.first_key && copy.key < end) next.copies.push_back(copy);
      continue;
    }
    has_tokens = true;
    ReplicaShape shape;
    shape.slots = layer.experts + rebalancing_.redundant;
    shape.gpus = rebalancing_.gpus;
    set_replicas(next, layer, balance_replicas(tokens, shape));
    const auto before = held_of(homes_, layer), after = held_of(next, layer);
    std::vector<std::pair<std::uint8_t, ExpertKey>> arrived;
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                        std::back_inserter(arrived));
    for (const auto& [gpu, key] : arrived) arrived_.push_back({key, homes_.of_key[key], gpu});
  }
  rebalancings_ += has_tokens ? 1 : 0;
  homes_ = std::move(next);
  return arrived_;
}

void Rebalancer::watch(const StepRouting& routing, int stack) {
  window_->add(routing, stack);
  ++steps_;
}

RebalancedRun run_rebalancing(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                              const ExpertHomes& start, const Rebalancing& rebalancing) {
  RebalancedRun run;
  Rebalancer rebalancer(map, start, rebalancing);
  PlacementJudge judging(map);
  judging.use(start);
  StepRouting routing(map);
  each_step(source, span, [&](const trace::Step& step) {
    // Before the step, so that none is paid for that no step gains from.
    if (rebalancer.is_due()) {
      for (const ExpertArrival& arrival : rebalancer.rebalance()) {
        ++run.copies;
        run.bytes += map.layers()[static_cast<std::size_t>(map.ordinal_of(arrival.key))].expert_bytes;
      }
      judging.use(rebalancer.homes());
    }
    judging.watch(step);
    routing.load(step);
    rebalancer.watch(routing, step.stack);
  });
  run.rebalancings = rebalancer.rebalancings();
  run.quality = judging.quality();
  return run;
}

}  // namespace pregate::sim
