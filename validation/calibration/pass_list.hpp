// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "models/model.hpp"
#include "traces/trace.hpp"

namespace pregate::validation {

/// One pass of a made-up trace: every MoE layer of the stack activates exactly `activated` experts.
struct Pass {
  int stack = 0;  ///< of the model
  int tokens = 1;
  int activated = 1;  ///< at least top-k, at most tokens x top-k and the experts
};

/// A trace of given passes, a decode step of `tokens` sequences each. Which experts are active moves on from
/// pass to pass and differs between layers, so that no weights stay in a processor's caches.
class PassList final : public trace::StepSource {
 public:
  PassList(const ModelSpec& model, std::vector<Pass> passes);
  [[nodiscard]] const trace::TraceInfo& info() const override { return info_; }
  bool next(trace::Step& step) override;
  void rewind() override;

 private:
  trace::TraceInfo info_;
  std::vector<Pass> passes_;
  std::size_t at_ = 0;
  std::vector<std::uint16_t> experts_;
  std::vector<int> first_expert_;  // by layer of info_: where its active experts begin next
};

}  // namespace pregate::validation
