// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan_checks.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

void check_hit_rate(const PolicySpec& policy, const cache::EvictionEntry& eviction) {
  const std::string where = "policy " + policy.name;
  if (policy.placement.kind->keeps_all) return;
  if (!eviction.is_decreed) {
    if (!policy.cache.hit_rate) return;
    throw InputError(where, "cache.hit_rate means nothing with the eviction '" + eviction.name + "'",
                     "remove it, or set cache.eviction to given-rate");
  }
  if (!policy.cache.profile.empty()) {
    throw InputError(where, "the eviction '" + eviction.name + "' keeps nothing that could be there before",
                     "remove cache.profile");
  }
  if (!policy.cache.hit_rate) {
    throw InputError(where, "the eviction '" + eviction.name + "' needs the rate at which the cache hits",
                     "e.g. --set policy.cache.hit_rate=0.7");
  }
  if (policy.cache.capacity.kind == CapacityKind::none) {
    throw InputError(where, "a cache that hits needs memory",
                     "give its capacity (--cache): it counts as GPU memory");
  }
  if (policy.cache.admission->make) {
    throw InputError(where,
                     "with a given hit rate nothing enters the cache: cache.admission = '" +
                         policy.cache.admission->name + "' means nothing",
                     "remove cache.admission");
  }
  if (policy.transfer.write_back == WriteBack::swap) {
    throw InputError(where, "a given hit rate goes with experts that just leave",
                     "remove transfer.write_back");
  }
  const sim::MissServiceEntry& service = *policy.miss.service;
  const bool fetches_or_computes = service.fetches_all() || (service.uses_cpu && service.is_exact());
  if (!fetches_or_computes) {
    throw InputError(where, "a given hit rate goes with misses that are fetched, or that the CPU computes",
                     "remove miss.service, or set it to compute-on-cpu");
  }
  if (policy.miss.admission != MissAdmission::none || service.copies_too) {
    throw InputError(where,
                     "with a given hit rate nothing enters the cache: copies for next time mean nothing",
                     "remove miss.admission, or set miss.service to compute-on-cpu");
  }
}

void check_predictions(const PolicySpec& policy, const trace::TraceInfo& info) {
  if (!is_shown_recorded(*policy.lookahead.predictor, info.predicted_by)) return;
  if (!info.has_predictions) {
    throw InputError(
        "policy " + policy.name,
        "the lookahead '" + policy.lookahead.predictor->name + "' needs a trace with predicted experts",
        "this trace has none (pregate trace info shows what it holds)");
  }
  const std::vector<int> distances = info.prediction_distances();
  if (std::find(distances.begin(), distances.end(), policy.lookahead.distance) == distances.end()) {
    std::string recorded;
    for (const int distance : distances)
      recorded += (recorded.empty() ? "" : ", ") + std::to_string(distance);
    throw InputError("policy " + policy.name,
                     "the trace predicts " + recorded + " MoE layers ahead, the policy looks " +
                         std::to_string(policy.lookahead.distance) + " ahead",
                     "--set policy.lookahead.distance=" + std::to_string(info.prediction_distance));
  }
}

void check_service(const PolicySpec& policy, const trace::TraceInfo& info, const Topology& topology) {
  const MissServiceEntry& service = *policy.miss.service;
  if (service.needs_weights && !info.has_weights) {
    throw InputError("policy " + policy.name,
                     "the miss service '" + service.name + "' needs a trace with gate weights",
                     "this trace has none (pregate trace info shows what it holds)");
  }
  const auto& places = topology.places;
  const auto is_near_data = [](const Place& place) { return place.kind == PlaceKind::near_data; };
  if (service.uses_near_data && std::none_of(places.begin(), places.end(), is_near_data)) {
    throw InputError("policy " + policy.name,
                     "the miss service '" + service.name + "' needs a machine with a near-data device",
                     "set machine.near_data.memory, and its memory_bandwidth and link");
  }
}

/// What is computed instead of the gates' choice is not known before the run.
void check_exact(const PolicySpec& policy, const cache::EvictionEntry& eviction) {
  if (!eviction.needs_future || policy.cache.capacity.kind == CapacityKind::none || !why_not_exact(policy))
    return;
  throw InputError(
      "policy " + policy.name,
      "the eviction '" + eviction.name + "' knows what the gates choose, and something else is computed",
      "choose another --eviction, or set lookahead.exact to true");
}

}  // namespace

void check_gate_weights(const std::string& where, const cache::EvictionEntry& eviction,
                        const trace::TraceInfo& info) {
  if (!eviction.needs_weights || info.has_weights) return;
  throw InputError(where, "the eviction '" + eviction.name + "' needs a trace with gate weights",
                   "this trace has none (pregate trace info shows what it holds)");
}

void check_parts(const PolicySpec& policy, const cache::EvictionEntry& eviction, const trace::TraceInfo& info,
                 const Topology& topology) {
  check_predictions(policy, info);
  check_gate_weights("policy " + policy.name, eviction, info);
  check_hit_rate(policy, eviction);
  check_exact(policy, eviction);
  check_service(policy, info, topology);
  if (policy.miss.service->uses_low_format && why_not_exact(policy)) {
    throw InputError("policy " + policy.name,
                     "formats.low has buffers for what the trace activates, and something else is computed",
                     "set lookahead.exact to true, or choose another miss.service");
  }
  if (policy.miss.service->uses_low_format && policy.formats.low.empty()) {
    throw InputError("policy " + policy.name,
                     "miss.service = '" + policy.miss.service->name + "' needs a second weight format",
                     "e.g. --set policy.formats.low=q4_k");
  }
}

}  // namespace pregate::sim
