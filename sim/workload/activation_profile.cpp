// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/activation_profile.hpp"

#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {

namespace {

void check_alike(const ExpertMap& map, const ExpertMap& profile, const std::string& path,
                 const std::string& where) {
  const auto alike = [](const MoeLayer& a, const MoeLayer& b) {
    return a.stack == b.stack && a.layer == b.layer && a.experts == b.experts;
  };
  if (std::equal(map.layers().begin(), map.layers().end(), profile.layers().begin(), profile.layers().end(),
                 alike))
    return;
  throw InputError(where, printable(path) + " is a trace of a model with other MoE layers",
                   "pregate trace info shows what it holds");
}

}  // namespace

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

ActivationProfile read_profile(const std::string& path, const ExpertMap& map, const std::string& where) {
  const auto source = trace::open_trace(path);
  const ExpertMap of_profile(source->info());
  check_alike(map, of_profile, path, where);
  return {activation_shares(*source, of_profile),
          printable(path) + ", content " + source->info().content_hash.substr(0, 12)};
}

}  // namespace pregate::sim
