// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/decision_logs.hpp"

namespace pregate::sim {

namespace {

/// Logs beyond this are given up: 256 MiB of what grows with the trace.
constexpr std::size_t most_log_words = std::size_t{1} << 26U;

}  // namespace

DecisionLogs::DecisionLogs(const ModelSpec& model, const ExpertMap& map, std::span<const Plan* const> plans)
    : passes_(std::make_shared<PassLog>(model, map)) {
  if (plans.size() > 1) shared_ = std::make_unique<StackLookups>(map, *plans.front());
  for (const Plan* const plan : plans)
    copies_.push_back(std::make_unique<CopyLog>(map, *plan, shared_.get()));
}

void DecisionLogs::keep_budget() {
  std::size_t words = passes_->words();
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
  for (const auto& each : copies_) each->add(pass, body, *passes_);
  keep_budget();
  return {run_};
}

void DecisionLogs::finish() {
  passes_->finish();
  for (const auto& each : copies_) each->finish();
}

}  // namespace pregate::sim
