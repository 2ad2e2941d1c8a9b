// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/parts.hpp"

namespace pregate::sim {

PlacementEntry no_placement();
PlacementEntry all_resident();
PlacementEntry popular_resident();
PlacementEntry first_layers_resident();
PlacementEntry last_layers_resident();
PlacementEntry on_other_gpus();
PlacementEntry round_robin();

PredictorEntry no_predictor();
PredictorEntry all_next();
PredictorEntry pre_gate();
PredictorEntry recorded_predictions();
PredictorEntry given_recall();

PrefetcherEntry at_distance();

MissServiceEntry fetch_misses();
MissServiceEntry compute_on_cpu();
MissServiceEntry cpu_for_few_tokens();
MissServiceEntry cpu_if_sooner();
MissServiceEntry fraction();
MissServiceEntry makespan();
MissServiceEntry upload_cap();
MissServiceEntry read_through();
MissServiceEntry read_fraction();
MissServiceEntry near_data();
MissServiceEntry near_data_optimal();
MissServiceEntry skip_light();
MissServiceEntry by_precision();
MissServiceEntry substitute();
MissServiceEntry cpu_or_substitute();

const Parts& built_in_parts() {
  static const Parts all = [] {
    Parts parts;
    parts.placements.add(no_placement());
    parts.placements.add(all_resident());
    parts.placements.add(popular_resident());
    parts.placements.add(first_layers_resident());
    parts.placements.add(last_layers_resident());
    parts.placements.add(on_other_gpus());
    parts.placements.add(round_robin());

    parts.predictors.add(no_predictor());
    parts.predictors.add(all_next());
    parts.predictors.add(pre_gate());
    parts.predictors.add(recorded_predictions());
    parts.predictors.add(given_recall());

    parts.prefetchers.add(at_distance());

    parts.miss_services.add(fetch_misses());
    parts.miss_services.add(compute_on_cpu());
    parts.miss_services.add(cpu_for_few_tokens());
    parts.miss_services.add(cpu_if_sooner());
    parts.miss_services.add(fraction());
    parts.miss_services.add(makespan());
    parts.miss_services.add(upload_cap());
    parts.miss_services.add(read_through());
    parts.miss_services.add(read_fraction());
    parts.miss_services.add(near_data());
    parts.miss_services.add(near_data_optimal());
    parts.miss_services.add(skip_light());
    parts.miss_services.add(by_precision());
    parts.miss_services.add(substitute());
    parts.miss_services.add(cpu_or_substitute());
    return parts;
  }();
  return all;
}

}  // namespace pregate::sim
