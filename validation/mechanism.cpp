// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/mechanism.hpp"

namespace pregate::validation {

namespace {

bool has_cache(const PolicySpec& policy) {
  const Capacity& capacity = policy.cache.capacity;
  return capacity.kind != CapacityKind::none &&
         (capacity.slots > 0 || capacity.bytes.count > 0 || capacity.share > 0);
}

/// How it is known early which experts are fetched; without it, what is done about a miss.
std::string design(const PolicySpec& policy) {
  const bool on_cpu = policy.miss.service == MissService::compute_on_cpu;
  switch (policy.lookahead.kind) {
    case LookaheadKind::none:
      return on_cpu ? "cpu-computed" : "on-demand";
    case LookaheadKind::all_next:
      return "prefetch-all";
    case LookaheadKind::pre_gate:
      return "pre-gated";
    case LookaheadKind::recorded:
      return "recorded prefetch";
    case LookaheadKind::predictor:
      return "predictor";
  }
  return {};
}

}  // namespace

std::string mechanism_of(const PolicySpec& policy) {
  if (policy.placement.kind == PlacementKind::all) return "gpu-only";
  std::string text = design(policy);  // what follows the first comma is added to it
  const auto add = [&text](bool present, const char* part) {
    if (present) text += std::string(", ") + part;
  };
  const bool looks_ahead = policy.lookahead.kind != LookaheadKind::none;
  if (looks_ahead && policy.lookahead.distance > 1) {
    text += ", " + std::to_string(policy.lookahead.distance) + " layers ahead";
  }
  const bool on_cpu = policy.miss.service == MissService::compute_on_cpu;
  add(looks_ahead && on_cpu, "misses on the CPU");
  add(!on_cpu && policy.miss.service != MissService::fetch, "misses not fetched");
  add(has_cache(policy), "cached");
  add(has_cache(policy) && policy.cache.admission == Admission::bypass, "bypass");
  add(on_cpu && policy.miss.admission == MissAdmission::background, "copied in the background");
  add(policy.transfer.write_back == WriteBack::swap, "swap");
  add(policy.placement.kind == PlacementKind::popular && policy.placement.count > 0, "popular pinned");
  add(policy.placement.kind == PlacementKind::first_layers && policy.placement.count > 0,
      "first layers pinned");
  add(policy.transfer.chunk.count > 0, "chunked");
  add(policy.transfer.queue == TransferQueue::demand_first, "demand first");
  add(policy.transfer.staging_copies > 0, "staged");
  add(!policy.transfer.pinned, "pageable");
  add(policy.compute.experts == ExpertCompute::per_expert, "expert by expert");
  return text;
}

}  // namespace pregate::validation
