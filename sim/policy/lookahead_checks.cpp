// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/policy/lookahead_checks.hpp"

#include "models/error.hpp"

namespace pregate {

namespace {

std::string kinds_that_predict() {
  std::string kinds;
  for (const sim::PredictorEntry& each : sim::built_in_parts().predictors.entries()) {
    if (each.predicts()) kinds += (kinds.empty() ? "" : ", ") + each.name;
  }
  return kinds;
}

std::string kinds_that_know_passes() {
  std::string kinds;
  for (const sim::PredictorEntry& each : sim::built_in_parts().predictors.entries()) {
    if (each.knows_pass) kinds += (kinds.empty() ? "" : ", ") + each.name;
  }
  return kinds;
}

}  // namespace

void check_lookahead(const PolicySpec& policy, const std::string& where) {
  const auto& lookahead = policy.lookahead;
  const bool looks_ahead = lookahead.predictor->predicts();
  if (!looks_ahead && lookahead.distance != 1) {
    throw InputError(where, "lookahead.distance means nothing without a lookahead",
                     "set lookahead.kind to one of: " + kinds_that_predict());
  }
  if (!looks_ahead && (lookahead.cost.count > 0 || lookahead.cost_stream != PredictionStream::compute)) {
    throw InputError(where, "lookahead.cost is of a prediction, and nothing is predicted",
                     "set lookahead.kind to one of: " + kinds_that_predict());
  }
  if (policy.placement.kind->keeps_all && looks_ahead) {
    throw InputError(
        where, "placement.kind = '" + policy.placement.kind->name + "' leaves nothing to look ahead for",
        "remove lookahead.kind or choose another placement");
  }
}

void check_prefetch(const PolicySpec& policy, const std::string& where) {
  const auto& predictor = *policy.lookahead.predictor;
  const auto& prefetcher = *policy.prefetch.prefetcher;
  if (predictor.predicts() && prefetcher.before_passes && !predictor.knows_pass) {
    throw InputError(where,
                     "prefetch.kind = '" + prefetcher.name +
                         "' announces before a pass, of which lookahead.kind = '" + predictor.name +
                         "' knows nothing then",
                     "set lookahead.kind to one of: " + kinds_that_know_passes());
  }
  if (predictor.predicts() && prefetcher.computes_ahead &&
      (!policy.miss.service->uses_cpu || policy.host_cache.capacity.kind != CapacityKind::none)) {
    throw InputError(where,
                     "prefetch.kind = '" + prefetcher.name +
                         "' goes with misses that the CPU computes, all experts being in its memory",
                     "set miss.service to compute-on-cpu, and remove host_cache.capacity");
  }
  if (predictor.predicts() && prefetcher.computes_ahead && policy.prefetch.wrong == WrongGuesses::cancel) {
    throw InputError(where,
                     "prefetch.kind = '" + prefetcher.name + "' copies nothing that could be taken back",
                     "remove prefetch.wrong");
  }
  if (predictor.predicts() && prefetcher.crosses_steps &&
      (!predictor.is_whole_layer || policy.lookahead.distance != 1)) {
    throw InputError(where,
                     "prefetch.kind = '" + prefetcher.name +
                         "' copies whole layers, the next ones, whatever is known of them",
                     "set lookahead.kind to all-next and remove lookahead.distance");
  }
  if (predictor.is_whole_layer && policy.prefetch.wrong == WrongGuesses::cancel) {
    throw InputError(where,
                     "the lookahead '" + predictor.name + "' copies whole layers, of which none is wrong",
                     "remove prefetch.wrong");
  }
}

}  // namespace pregate
