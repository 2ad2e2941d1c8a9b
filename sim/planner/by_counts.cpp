// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/by_counts.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

/// What a layer fetches early is what it misses, or all that the cache lacks. `cached`: there is an expert
/// cache.
bool by_counts(const PredictorEntry& predictor, bool cached, CacheScope scope) {
  switch (predictor.by_counts) {
    case PredictorEntry::ByCounts::no:
      return false;
    case PredictorEntry::ByCounts::with_a_cache_of_each_layer:
      return !cached || !predictor.predicts() || scope == CacheScope::layer;
  }
  return false;
}

/// Copies in the order of issue, or all of them demanded; nobody leaves by a copy, nobody is staged.
bool by_counts(const decltype(PolicySpec::transfer)& transfer, bool announces) {
  const bool issued_at_once = transfer.queue->in_order() && transfer.announced == AnnouncedCopies::queued;
  return (issued_at_once || !announces) && transfer.write_back == WriteBack::none &&
         transfer.staging_copies == 0;
}

/// Nobody is there before the run, and the cache need not be told of gates.
bool is_plain(const Plan& plan) { return plan.geometry.start.empty() && !plan.cache_watches; }

/// A layer's experts are one operation of the whole pass, and its attention waits for no copy.
bool computes_at_once(const PolicySpec& policy) {
  return policy.compute.experts == ExpertCompute::grouped && policy.compute.micro_batches == 1 &&
         policy.compute.synchronized == Synchronized::never && !policy.kv_cache.on_host() &&
         policy.formats.cached >= 1;
}

/// Every miss is fetched, and a layer computed in one operation, where its experts are.
bool fetches_and_computes_at_once(const Plan& plan, const TraceScan& scan) {
  const int most_activated =
      std::max({scan.most_activated, scan.most_activated_prefill, scan.most_activated_encoder});
  const bool runs_in_waves = plan.offloads() && most_activated > plan.buffer_slots + plan.prefill_slots;
  const bool one_place = plan.home.empty() && !plan.make_host_tier;
  return one_place && plan.policy.miss.service->fetches_all() && computes_at_once(plan.policy) &&
         !runs_in_waves;
}

/// Predictions take no time, and nothing is taken back.
bool announces_for_nothing(const PolicySpec& policy) {
  return policy.lookahead.cost.count == 0 && policy.prefetch.wrong == WrongGuesses::keep;
}

}  // namespace

bool decides_by_counts(const Plan& plan, const TraceScan& scan) {
  const PolicySpec& policy = plan.policy;
  const bool announces = policy.lookahead.predictor->predicts();
  // A decreed hit is not there, and whoever fetches a whole layer fetches it as well.
  const bool keeps_hits = !policy.lookahead.predictor->is_whole_layer || !plan.hits_are_decreed;
  return fetches_and_computes_at_once(plan, scan) && announces_for_nothing(policy) && !plan.cache_swaps &&
         keeps_hits && policy.placement.kind->by_counts &&
         by_counts(*policy.lookahead.predictor, plan.cache_slots > 0, policy.cache.scope) &&
         (!announces || policy.prefetch.prefetcher->by_counts) && by_counts(policy.transfer, announces);
}

bool decides_by_guesses(const Plan& plan, const TraceScan& scan) {
  const PolicySpec& policy = plan.policy;
  const PredictorEntry& predictor = *policy.lookahead.predictor;
  const bool guesses = predictor.predicts() && predictor.keeps_to_most_guesses && !predictor.is_whole_layer;
  // Between the chunks of one expert another might overtake.
  const TransferEntry& queue = *policy.transfer.queue;
  const bool whole = queue.in_order() || (queue.only_demand_overtakes && policy.transfer.chunk.count <= 0);
  return fetches_and_computes_at_once(plan, scan) && announces_for_nothing(policy) && guesses &&
         !why_not_exact(policy) && policy.prefetch.prefetcher->by_counts && !policy.placement.kind->place &&
         plan.offloads() && !plan.hits_are_decreed && is_plain(plan) &&
         policy.transfer.announced == AnnouncedCopies::queued && whole &&
         policy.transfer.write_back == WriteBack::none && policy.transfer.staging_copies == 0;
}

bool computes_misses_beside_copies(const Plan& plan) {
  const PolicySpec& policy = plan.policy;
  const bool one_place = plan.home.empty() && !plan.make_host_tier;
  return one_place && policy.miss.service->all_on_cpu && plan.cache_slots > 0 && plan.offloads() &&
         !plan.hits_are_decreed && is_plain(plan) && !policy.lookahead.predictor->predicts() &&
         !policy.placement.kind->place && computes_at_once(policy) &&
         (policy.transfer.queue->in_order() || policy.transfer.queue->only_demand_overtakes) &&
         policy.transfer.write_back == WriteBack::none && policy.transfer.staging_copies == 0;
}

}  // namespace pregate::sim
