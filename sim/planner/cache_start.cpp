// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/cache_start.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "sim/workload/profile.hpp"

namespace pregate::sim {

namespace {

/// By key: share of the passes of its stack that activate it.
std::vector<double> shares(trace::StepSource& source, const ExpertMap& map) {
  std::vector<double> shares(map.keys());
  std::vector<double> passes(map.layers().size());
  StepRouting routing(map);
  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    for (int ordinal = first; ordinal < last; ++ordinal) {
      ++passes[static_cast<std::size_t>(ordinal)];
      for (const ExpertKey key : routing.activated(ordinal)) ++shares[key];
    }
  }
  for (std::size_t ordinal = 0; ordinal < passes.size(); ++ordinal) {
    const MoeLayer& layer = map.layers()[ordinal];
    for (int i = 0; i < layer.experts; ++i)
      shares[layer.first_key + static_cast<ExpertKey>(i)] /= std::max(1.0, passes[ordinal]);
  }
  return shares;
}

}  // namespace

std::string start_from_profile(cache::CacheGeometry& geometry, const ExpertMap& map,
                               const std::string& path) {
  const auto source = open_profile(path, map, "policy.cache.profile");
  const ExpertMap of_profile(source->info());
  geometry.profile = shares(*source, of_profile);
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
         " experts that another trace activates most (" + printable(path) + ", content " +
         source->info().content_hash.substr(0, 12) + "); their copies are before the run and not counted";
}

}  // namespace pregate::sim
