// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/by_counts.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

/// All or nothing: where some experts of a layer are resident for the run, who is activated matters.
bool by_counts(const decltype(PolicySpec::placement)& placement) {
  return placement.kind == PlacementKind::none || placement.kind == PlacementKind::all;
}

/// What a layer fetches early is what it misses, or all it has. `cached`: there is an expert cache. In a
/// cache of its own a layer finds the same residents when it is announced and when it comes; in one for all
/// layers, others bring some of them in and evict them meanwhile.
bool by_counts(const decltype(PolicySpec::lookahead)& lookahead, bool cached, CacheScope scope) {
  switch (lookahead.kind) {
    case LookaheadKind::none:
      return true;
    case LookaheadKind::pre_gate:
      return !cached || scope == CacheScope::layer;
    case LookaheadKind::all_next:
      return !cached;  // else it fetches whom the cache lacks, activated or not
    case LookaheadKind::recorded:
    case LookaheadKind::given_recall:
      return false;
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
  const bool announces = policy.lookahead.kind != LookaheadKind::none;
  return by_counts(policy.placement) &&
         by_counts(policy.lookahead, plan.cache_slots > 0, policy.cache.scope) &&
         by_counts(policy.transfer, announces) && policy.miss.service == MissService::fetch &&
         policy.compute.experts == ExpertCompute::grouped && !runs_in_waves;
}

}  // namespace pregate::sim
