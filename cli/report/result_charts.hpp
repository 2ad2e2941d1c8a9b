// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/report/confidence.hpp"
#include "sim/report/limits.hpp"

namespace pregate::cli {

/// A run as charts show it.
struct Charted {
  std::string name;
  double rate = 0;       ///< tokens/s
  sim::RateRange range;  ///< may not exist
  double gpu_gib = 0;    ///< peak
  sim::Limits limits;
  bool is_research = false;  ///< paler: nobody can simply run it
};

/// A bar each, with its range as a whisker, from the top in their order. SVG.
std::string rates_chart(const std::vector<Charted>& runs);
/// Where the critical path's time went: a bar of parts each. SVG.
std::string time_chart(const std::vector<Charted>& runs);
/// GPU memory against tokens/s, a line through those that nothing beats in both. SVG.
std::string memory_chart(const std::vector<Charted>& runs);

/// Those that no other has more tokens/s than with no more memory, by memory.
std::vector<const Charted*> pareto_front(const std::vector<Charted>& runs);

}  // namespace pregate::cli
