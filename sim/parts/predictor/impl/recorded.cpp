// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

namespace {

class Recorded final : public Oracle {
 public:
  std::span<const ExpertKey> predict(int ordinal, int target) override {
    return recorded().predicted(ordinal, target);
  }
};

int as_many_as_recorded(const std::any&, const ExpertMap&, const TraceScan& scan) {
  return scan.most_predicted;
}

}  // namespace

PredictorEntry recorded_predictions() {
  PredictorEntry entry;
  entry.name = "recorded";
  entry.help = "the ids that the trace recorded as predicted";
  entry.mechanism = "recorded prefetch";
  entry.make = [](const std::any&, const ExpertMap&) { return std::make_unique<Recorded>(); };
  entry.is_oracle = entry.needs_recorded = true;
  entry.keeps_to_most_guesses = true;
  entry.most_guesses = as_many_as_recorded;
  return entry;
}

}  // namespace pregate::sim
