// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/mechanism.hpp"

#include <string_view>

#include "sim/policy/policy_choices.hpp"

namespace pregate::validation {

namespace {

bool has_cache(const PolicySpec& policy) {
  const Capacity& capacity = policy.cache.capacity;
  return capacity.kind != CapacityKind::none &&
         (capacity.slots > 0 || capacity.bytes.count > 0 || capacity.share > 0);
}

/// How it is known early which experts are fetched; without it, what is done about a miss.
std::string_view design(const PolicySpec& policy) {
  if (!policy.lookahead.predictor->predicts() && !policy.miss.service->fetches_all())
    return policy.miss.service->mechanism;
  return policy.lookahead.predictor->mechanism;
}

}  // namespace

std::string mechanism_of(const PolicySpec& policy) {
  const auto& placement = policy.placement.kind;
  if (placement->keeps_all) return placement->mechanism;
  std::string text(design(policy));  // what follows the first comma is added to it
  const auto add = [&text](bool present, std::string_view part) {
    if (present && !part.empty()) text += ", " + std::string(part);
  };
  const auto add_part = [&](bool counts, auto value) { add(counts, choice_of(value).mechanism); };
  const bool looks_ahead = policy.lookahead.predictor->predicts();
  add(looks_ahead && policy.lookahead.distance > 1,
      std::to_string(policy.lookahead.distance) + " layers ahead");
  add(looks_ahead, policy.prefetch.prefetcher->mechanism);
  add_part(looks_ahead, policy.prefetch.wrong);
  const bool on_cpu = policy.miss.service->uses_cpu;
  add(looks_ahead && on_cpu, "misses on the CPU");
  add(looks_ahead && !on_cpu, policy.miss.service->mechanism);
  add(has_cache(policy), "cached");
  add(has_cache(policy), policy.cache.admission->mechanism);
  add_part(on_cpu, policy.miss.admission);
  add_part(true, policy.transfer.write_back);
  add(placement->places(placement.parameters()), placement->mechanism);
  add(policy.host_cache.capacity.kind != CapacityKind::none, "from a drive");
  add(policy.formats.copied < 1, "experts copied in part");
  add(policy.transfer.chunk.count > 0, "chunked");
  add(true, policy.transfer.queue->mechanism);
  add(policy.transfer.staging_copies > 0, "staged");
  add(!policy.transfer.pinned, "pageable");
  add_part(true, policy.compute.experts);
  return text;
}

}  // namespace pregate::validation
