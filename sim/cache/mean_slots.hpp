// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Capacity of each domain in experts of the domain's mean size, for policies that divide it.
inline std::vector<double> mean_slots(const CacheGeometry& geometry) {
  std::vector<double> slots(geometry.domains);
  for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
    double bytes = 0;
    for (ExpertKey key = geometry.first_key[domain]; key < geometry.first_key[domain + 1]; ++key) {
      bytes += static_cast<double>(geometry.size[key]);
    }
    const double keys = geometry.first_key[domain + 1] - geometry.first_key[domain];
    slots[domain] = bytes > 0 ? static_cast<double>(geometry.capacity[domain]) * keys / bytes : 0;
  }
  return slots;
}

}  // namespace pregate::cache
