// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/parts.hpp"

namespace pregate::sim {

PredictorEntry no_predictor();
PredictorEntry all_next();
PredictorEntry pre_gate();
PredictorEntry recorded_predictions();
PredictorEntry given_recall();

PrefetcherEntry at_distance();

MissServiceEntry fetch_misses();
MissServiceEntry compute_on_cpu();

const Parts& built_in_parts() {
  static const Parts all = [] {
    Parts parts;
    parts.predictors.add(no_predictor());
    parts.predictors.add(all_next());
    parts.predictors.add(pre_gate());
    parts.predictors.add(recorded_predictions());
    parts.predictors.add(given_recall());

    parts.prefetchers.add(at_distance());

    parts.miss_services.add(fetch_misses());
    parts.miss_services.add(compute_on_cpu());
    return parts;
  }();
  return all;
}

}  // namespace pregate::sim
