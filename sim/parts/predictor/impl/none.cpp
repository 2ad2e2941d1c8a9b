// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/predictor/predictor.hpp"

namespace pregate::sim {

int as_many_as_activated(const std::any&, const ExpertMap&, const TraceScan& scan) {
  return scan.most_activated;
}

PredictorEntry no_predictor() {
  PredictorEntry entry;
  entry.name = "none";
  entry.help = "nothing";
  entry.mechanism = "on-demand";
  entry.misses_none = true;
  entry.by_counts = PredictorEntry::ByCounts::with_a_cache_of_each_layer;
  return entry;
}

}  // namespace pregate::sim
