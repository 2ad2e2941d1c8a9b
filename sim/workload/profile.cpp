// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/profile.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {

std::unique_ptr<trace::StepSource> open_profile(const std::string& path, const ExpertMap& map,
                                                const std::string& where) {
  std::unique_ptr<trace::StepSource> source = trace::open_trace(path);
  const ExpertMap profile(source->info());
  const auto alike = [](const MoeLayer& a, const MoeLayer& b) {
    return a.stack == b.stack && a.layer == b.layer && a.experts == b.experts;
  };
  if (!std::equal(map.layers().begin(), map.layers().end(), profile.layers().begin(), profile.layers().end(),
                  alike)) {
    throw InputError(where, printable(path) + " is a trace of a model with other MoE layers",
                     "pregate trace info shows what it holds");
  }
  return source;
}

}  // namespace pregate::sim
