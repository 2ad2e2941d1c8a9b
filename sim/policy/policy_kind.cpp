// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/policy/policy_kind.hpp"

#include <stdexcept>

namespace pregate {

PolicyKind kind_of(const PolicySpec& policy) {
  if (policy.placement.kind->keeps_all) return PolicyKind::resident;
  if (policy.host_cache.capacity.kind != CapacityKind::none) return PolicyKind::from_drive;
  if (policy.miss.service->uses_cpu) return PolicyKind::beside_cpu;
  return policy.lookahead.predictor->predicts() ? PolicyKind::ahead : PolicyKind::on_demand;
}

const char* to_string(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::resident:
      return "all on the GPU";
    case PolicyKind::on_demand:
      return "fetched on demand";
    case PolicyKind::ahead:
      return "fetched ahead";
    case PolicyKind::beside_cpu:
      return "the CPU computes misses";
    case PolicyKind::from_drive:
      return "read from a drive";
  }
  throw std::logic_error("a kind of policy without a name");
}

}  // namespace pregate
