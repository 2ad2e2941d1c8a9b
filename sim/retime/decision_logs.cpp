// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/decision_logs.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

/// Logs beyond this are given up: 256 MiB of what grows with the trace.
constexpr std::size_t most_log_words = std::size_t{1} << 26U;

}  // namespace

DecisionLogs::DecisionLogs(const ModelSpec& model, const ExpertMap& map, std::span<const Plan* const> plans)
    : map_(map), passes_(std::make_shared<PassLog>(model, map)) {
  if (plans.size() > 1) shared_ = std::make_unique<StackLookups>(map, *plans.front());
  for (const Plan* const plan : plans)
    copies_.push_back(std::make_unique<CopyLog>(map, *plan, shared_.get()));
  const bool on_demand = std::all_of(copies_.begin(), copies_.end(),
                                     [](const auto& each) { return !each->announces() && each->offloads(); });
  if (shared_ && on_demand) misses_ = std::make_unique<SharedMisses>(map, plans);
}

void DecisionLogs::keep_budget() {
  std::size_t words = passes_->words() + (misses_ ? misses_->words() : 0);
  for (const auto& each : copies_) {
    words += each->words();
    is_usable_ = is_usable_ && each->is_usable();
  }
  is_usable_ = is_usable_ && words <= most_log_words;
}

Picoseconds DecisionLogs::run(const Pass& pass) {
  ++run_;
  if (!is_usable_) return {run_};
  const std::uint32_t body = passes_->add(pass);
  if (shared_) shared_->look_up(pass);
  if (misses_) {
    add_shared(pass, body);
  } else {
    for (const auto& each : copies_) each->add(pass, body, *passes_);
  }
  keep_budget();
  return {run_};
}

void DecisionLogs::add_shared(const Pass& pass, std::uint32_t body) {
  const std::span<const std::uint32_t> hits = misses_->add(pass, body, *passes_, *shared_);
  std::uint32_t activated = 0;
  const auto [first, last] = map_.ordinals(pass.info.step.stack);
  for (int ordinal = first; ordinal < last; ++ordinal) activated += pass.routing.activated_count(ordinal);
  for (std::size_t plan = 0; plan < copies_.size(); ++plan)
    copies_[plan]->add_counted(pass, hits[plan], activated);
}

void DecisionLogs::finish() {
  passes_->finish();
  for (std::size_t plan = 0; plan < copies_.size(); ++plan) {
    copies_[plan]->finish();
    if (misses_) copies_[plan]->misses = misses_->misses_of(plan);
  }
}

}  // namespace pregate::sim
