// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/by_counts.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

/// What a layer fetches early is what it misses, or all it has. `cached`: there is an expert cache.
bool by_counts(const PredictorEntry& predictor, bool cached, CacheScope scope) {
  switch (predictor.by_counts) {
    case PredictorEntry::ByCounts::no:
      return false;
    case PredictorEntry::ByCounts::without_cache:
      return !cached;
    case PredictorEntry::ByCounts::with_a_cache_of_each_layer:
      return !cached || !predictor.predicts() || scope == CacheScope::layer;
  }
  return false;
}

/// Copies in the order of issue, or all of them demanded; nobody leaves by a copy, nobody is staged.
bool by_counts(const decltype(PolicySpec::transfer)& transfer, bool announces) {
  return (transfer.queue == TransferQueue::fifo || !announces) && transfer.write_back == WriteBack::none &&
         transfer.staging_copies == 0;
}

}  // namespace

bool decides_by_counts(const Plan& plan, const TraceScan& scan) {
  const PolicySpec& policy = plan.policy;
  const int most_activated =
      std::max({scan.most_activated, scan.most_activated_prefill, scan.most_activated_encoder});
  const bool runs_in_waves = plan.offloads() && most_activated > plan.buffer_slots + plan.prefill_slots;
  const bool announces = policy.lookahead.predictor->predicts();
  const bool one_place = plan.home.empty() && !plan.make_host_tier;
  return one_place && policy.placement.kind->by_counts &&
         by_counts(*policy.lookahead.predictor, plan.cache_slots > 0, policy.cache.scope) &&
         (!announces || policy.prefetch.prefetcher->by_counts) && by_counts(policy.transfer, announces) &&
         policy.miss.service->fetches_all() && policy.compute.experts == ExpertCompute::grouped &&
         !runs_in_waves;
}

}  // namespace pregate::sim
