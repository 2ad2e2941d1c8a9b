// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/kept_steps.hpp"

#include <span>
#include <stdexcept>

namespace pregate::trace {

namespace {

constexpr std::int64_t most_entries_kept = std::int64_t{1} << 26;

/// A reader of steps that it shares with others.
class SharedSteps final : public StepSource {
 public:
  SharedSteps(std::shared_ptr<const std::vector<Step>> steps,
              std::shared_ptr<const std::vector<std::uint16_t>> ids, std::shared_ptr<const TraceInfo> info)
      : steps_(std::move(steps)), ids_(std::move(ids)), info_(std::move(info)) {}
  [[nodiscard]] const TraceInfo& info() const override { return *info_; }
  bool next(Step& step) override {
    if (at_ == steps_->size()) return false;
    step = (*steps_)[at_++];
    return true;
  }
  void rewind() override { at_ = 0; }

 private:
  std::shared_ptr<const std::vector<Step>> steps_;
  std::shared_ptr<const std::vector<std::uint16_t>> ids_;  ///< that the steps' views show
  std::shared_ptr<const TraceInfo> info_;
  std::size_t at_ = 0;
};

}  // namespace

std::shared_ptr<StepSource> KeptSteps::reader() {
  std::call_once(once_, [this] { keep(); });
  if (!steps_) return open_();
  return std::make_shared<SharedSteps>(steps_, ids_, info_);
}

void KeptSteps::keep() {
  const auto source = open_();
  info_ = std::make_shared<const TraceInfo>(source->info());
  if (info_->routed_entries > most_entries_kept) return;
  auto ids = std::make_shared<std::vector<std::uint16_t>>();
  ids->reserve(static_cast<std::size_t>(info_->routed_entries));
  auto steps = std::make_shared<std::vector<Step>>();
  for (Step step; source->next(step);) {
    if (!step.weights.empty() || !step.predicted.empty() || !step.parts.empty())
      throw std::logic_error("steps with weights, predictions or parts are not kept");
    ids->insert(ids->end(), step.experts.begin(), step.experts.end());
    steps->push_back(step);
  }
  std::size_t at = 0;
  for (Step& each : *steps) {
    each.experts = std::span<const std::uint16_t>(*ids).subspan(at, each.experts.size());
    at += each.experts.size();
  }
  ids_ = std::move(ids);
  steps_ = std::move(steps);
}

}  // namespace pregate::trace
