// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/profile.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {

namespace {

std::string in_words(const std::vector<MoeLayer>& layers) {
  int most = 0;
  for (const MoeLayer& layer : layers) most = std::max(most, layer.experts);
  return std::to_string(layers.size()) + " MoE layers of up to " + std::to_string(most) + " experts";
}

}  // namespace

std::unique_ptr<trace::StepSource> open_profile(const std::string& path, const ExpertMap& map,
                                                const std::string& where) {
  std::unique_ptr<trace::StepSource> source = trace::open_trace(path);
  const ExpertMap profile(source->info());
  const auto alike = [](const MoeLayer& a, const MoeLayer& b) {
    return a.stack == b.stack && a.layer == b.layer && a.experts == b.experts;
  };
  const std::vector<MoeLayer>& layers = map.whole() != nullptr ? map.whole()->layers : map.layers();
  if (!std::equal(layers.begin(), layers.end(), profile.layers().begin(), profile.layers().end(), alike)) {
    throw InputError(where,
                     printable(path) + " is a trace of a model with other MoE layers: " +
                         in_words(profile.layers()) + ", and here are " + in_words(layers),
                     "a trace of this model (pregate trace info shows what it holds)");
  }
  return map.whole() != nullptr ? map.whole()->part_of(std::move(source)) : std::move(source);
}

}  // namespace pregate::sim
