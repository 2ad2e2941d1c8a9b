// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/parts.hpp"

#include <string>
#include <utility>

namespace pregate::sim {

PlacementEntry no_placement();
PlacementEntry all_resident();
PlacementEntry popular_resident();
PlacementEntry drawn_resident();
PlacementEntry first_layers_resident();
PlacementEntry last_layers_resident();
PlacementEntry on_other_gpus();
PlacementEntry round_robin();

AdmissionEntry always_admit();
AdmissionEntry bypass();
AdmissionEntry after_misses();

PredictorEntry no_predictor();
PredictorEntry all_next();
PredictorEntry pre_gate();
PredictorEntry recorded_predictions();
PredictorEntry given_recall();
PredictorEntry gate_reuse();
PredictorEntry learned();
PredictorEntry previous_token();
PredictorEntry table_of_transitions();
PredictorEntry by_activation_matrix();
PredictorEntry foretold_by_hash();
PredictorEntry window_oracle();

PrefetcherEntry at_distance();
PrefetcherEntry several_layers();
PrefetcherEntry ring_of_layers();
PrefetcherEntry time_budget();
PrefetcherEntry adaptive_horizon();
PrefetcherEntry first_miss();
PrefetcherEntry likeliest_first();
PrefetcherEntry before_the_pass();
PrefetcherEntry by_gain();
PrefetcherEntry cpu_ahead();

TransferEntry in_order_of_issue();
TransferEntry demand_first();
TransferEntry nearest_first();

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
MissServiceEntry format_by_popularity();
MissServiceEntry substitute();
MissServiceEntry cpu_or_substitute();

namespace {

/// Where experts are and who comes in.
void add_residency(Parts& parts) {
  parts.placements.add(no_placement());
  parts.placements.add(all_resident());
  parts.placements.add(popular_resident());
  parts.placements.add(drawn_resident());
  parts.placements.add(first_layers_resident());
  parts.placements.add(last_layers_resident());
  parts.placements.add(on_other_gpus());
  parts.placements.add(round_robin());

  parts.admissions.add(always_admit());
  parts.admissions.add(bypass());
  parts.admissions.add(after_misses());
}

/// What is known early, and what is made of it.
void add_lookahead(Parts& parts) {
  parts.predictors.add(no_predictor());
  parts.predictors.add(all_next());
  parts.predictors.add(pre_gate());
  parts.predictors.add(recorded_predictions());
  parts.predictors.add(given_recall());
  parts.predictors.add(gate_reuse());
  parts.predictors.add(learned());
  parts.predictors.add(previous_token());
  parts.predictors.add(table_of_transitions());
  parts.predictors.add(by_activation_matrix());
  parts.predictors.add(foretold_by_hash());
  parts.predictors.add(window_oracle());

  parts.prefetchers.add(at_distance());
  parts.prefetchers.add(several_layers());
  parts.prefetchers.add(ring_of_layers());
  parts.prefetchers.add(time_budget());
  parts.prefetchers.add(adaptive_horizon());
  parts.prefetchers.add(first_miss());
  parts.prefetchers.add(likeliest_first());
  parts.prefetchers.add(before_the_pass());
  parts.prefetchers.add(by_gain());
  parts.prefetchers.add(cpu_ahead());
}

/// Copies, and what else may become of a miss.
void add_misses(Parts& parts) {
  parts.transfers.add(in_order_of_issue());
  parts.transfers.add(demand_first());
  parts.transfers.add(nearest_first());

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
  parts.miss_services.add(format_by_popularity());
  parts.miss_services.add(substitute());
  parts.miss_services.add(cpu_or_substitute());
}

Parts& parts_of_process() {
  static Parts all = [] {
    Parts parts;
    add_residency(parts);
    add_lookahead(parts);
    add_misses(parts);
    return parts;
  }();
  return all;
}

}  // namespace

const Parts& built_in_parts() { return parts_of_process(); }

void add_own_part(PredictorEntry entry) {
  const std::string where = "predictor '" + entry.name + "'";
  parts_of_process().predictors.add_own(std::move(entry), where);
}

void add_own_part(PrefetcherEntry entry) {
  const std::string where = "prefetcher '" + entry.name + "'";
  parts_of_process().prefetchers.add_own(std::move(entry), where);
}

void add_own_part(MissServiceEntry entry) {
  const std::string where = "miss service '" + entry.name + "'";
  parts_of_process().miss_services.add_own(std::move(entry), where);
}

void release_own_parts() {
  parts_of_process().predictors.release_own();
  parts_of_process().prefetchers.release_own();
  parts_of_process().miss_services.release_own();
}

}  // namespace pregate::sim
