// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

namespace {

/// Nobody in the first decode step of a request.
class PreviousToken final : public Predictor {
 public:
  explicit PreviousToken(const ExpertMap& map) : last_(map.layers().size()) {}
  void begin_pass(trace::Phase phase, bool first_of_request) override {
    is_decode_ = phase == trace::Phase::decode;
    if (!first_of_request) return;
    for (std::vector<ExpertKey>& keys : last_) keys.clear();
  }
  void observe(int ordinal, std::span<const ExpertKey> activated, std::span<const std::uint32_t>) override {
    if (is_decode_) last_[static_cast<std::size_t>(ordinal)].assign(activated.begin(), activated.end());
  }
  std::span<const ExpertKey> predict(int, int target) override {
    return last_[static_cast<std::size_t>(target)];
  }

 private:
  bool is_decode_ = true;
  std::vector<std::vector<ExpertKey>> last_;  // by ordinal
};

}  // namespace

PredictorEntry previous_token() {
  PredictorEntry entry;
  entry.name = "previous-token";
  entry.help = "those that this layer activated in the decode step before";
  entry.mechanism = "previous-token prefetch";
  entry.make = [](const std::any&, const ExpertMap& map) { return std::make_unique<PreviousToken>(map); };
  entry.knows_pass = entry.keeps_to_most_guesses = true;
  return entry;
}

}  // namespace pregate::sim
