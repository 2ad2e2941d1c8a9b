// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "sim/report/metrics.hpp"

namespace pregate::sim {

/// The entries of each group, in order; metrics() joins them and sets the group.
std::vector<Metric> rate_metrics();
std::vector<Metric> request_metrics();
std::vector<Metric> memory_metrics();
std::vector<Metric> run_metrics();

/// A key for people: "kv cache" of "kv_cache".
std::string words_of(std::string key);

inline void append(std::vector<Metric>& all, std::vector<Metric> more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
}

}  // namespace pregate::sim
