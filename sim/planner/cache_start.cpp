// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/cache_start.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/workload/activation_profile.hpp"

namespace pregate::sim {

std::string start_from_profile(cache::CacheGeometry& geometry, const ExpertMap& map,
                               const std::string& path) {
  ActivationProfile read = read_profile(path, map, "policy.cache.profile");
  geometry.profile = std::move(read.shares);
  const std::vector<double>& profile = geometry.profile;
  std::vector<ExpertKey> keys;
  geometry.start.clear();
  for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
    keys.clear();
    for (ExpertKey key = geometry.first_key[domain]; key < geometry.first_key[domain + 1]; ++key) {
      const bool excluded = !geometry.excluded.empty() && geometry.excluded[key] != 0;
      if (!excluded && profile[key] > 0) keys.push_back(key);
    }
    std::stable_sort(keys.begin(), keys.end(),
                     [&](ExpertKey a, ExpertKey b) { return profile[a] > profile[b]; });
    std::int64_t room = geometry.capacity[domain];
    std::size_t fit = 0;
    while (fit < keys.size() && geometry.size[keys[fit]] <= room) room -= geometry.size[keys[fit++]];
    keys.resize(fit);
    geometry.start.insert(geometry.start.end(), keys.rbegin(), keys.rend());
  }
  return "the cache starts with the " + std::to_string(geometry.start.size()) +
         " experts that another trace activates most (" + read.name +
         "); their copies are before the run and not counted";
}

std::string start_from_ids(cache::CacheGeometry& geometry) {
  geometry.start.clear();
  for (std::uint32_t domain = 0; domain < geometry.domains; ++domain) {
    std::int64_t room = geometry.capacity[domain];
    for (ExpertKey key = geometry.first_key[domain]; key < geometry.first_key[domain + 1]; ++key) {
      const bool excluded = !geometry.excluded.empty() && geometry.excluded[key] != 0;
      if (excluded || geometry.size[key] > room) continue;
      room -= geometry.size[key];
      geometry.start.push_back(key);
    }
  }
  return "the cache starts with the experts of lowest ids; cache.profile starts it with those of another "
         "trace";
}

}  // namespace pregate::sim
