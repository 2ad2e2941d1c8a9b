// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/activation_profile.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "sim/workload/profile.hpp"

namespace pregate::sim {

std::vector<double> activation_shares(trace::StepSource& source, const ExpertMap& map, double part) {
  std::vector<double> shares(map.keys());
  std::vector<double> passes(map.layers().size());
  StepRouting routing(map);
  trace::Step step;
  const auto all = static_cast<double>(source.info().steps);
  const double most = part < 1 ? std::max(1.0, std::floor(part * all)) : all;
  source.rewind();
  for (double taken = 0; (part >= 1 || taken < most) && source.next(step); ++taken) {
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    for (int ordinal = first; ordinal < last; ++ordinal) {
      ++passes[static_cast<std::size_t>(ordinal)];
      for (const ExpertKey key : routing.activated(ordinal)) ++shares[key];
    }
  }
  source.rewind();
  for (std::size_t ordinal = 0; ordinal < passes.size(); ++ordinal) {
    const MoeLayer& layer = map.layers()[ordinal];
    for (int i = 0; i < layer.experts; ++i)
      shares[layer.first_key + static_cast<ExpertKey>(i)] /= std::max(1.0, passes[ordinal]);
  }
  return shares;
}

std::string profile_name(const std::string& path, const trace::StepSource& source) {
  return printable(path) + ", content " + source.info().content_hash.substr(0, 12);
}

ActivationProfile read_profile(const std::string& path, const ExpertMap& map, const std::string& where) {
  const auto source = open_profile(path, map, where);
  return {activation_shares(*source, ExpertMap(source->info())), profile_name(path, *source)};
}

}  // namespace pregate::sim
