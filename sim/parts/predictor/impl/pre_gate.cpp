// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

namespace {

class PreGate final : public Oracle {
 public:
  std::span<const ExpertKey> predict(int, int target) override { return truth().activated(target); }
};

}  // namespace

PredictorEntry pre_gate() {
  PredictorEntry entry;
  entry.name = "pre-gate";
  entry.help = "the experts of that layer, as its gate is evaluated ahead";
  entry.mechanism = "pre-gated";
  entry.make = [](const std::any&, const ExpertMap&) { return std::make_unique<PreGate>(); };
  entry.is_oracle = entry.misses_none = true;
  entry.keeps_to_most_guesses = true;
  // In a cache of its own a layer finds the same residents when it is announced and when it comes; in one
  // for all layers, others bring some of them in and evict them meanwhile.
  entry.by_counts = PredictorEntry::ByCounts::with_a_cache_of_each_layer;
  return entry;
}

}  // namespace pregate::sim
