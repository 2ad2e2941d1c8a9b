// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/metrics.hpp"

#include <algorithm>
#include <limits>

#include "sim/report/metric_lists.hpp"

namespace pregate::sim {

namespace {

std::vector<Metric> in(MetricGroup group, std::vector<Metric> some) {
  for (Metric& metric : some) metric.group = group;
  return some;
}

}  // namespace

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> all = [] {
    std::vector<Metric> joined = in(MetricGroup::rates, rate_metrics());
    append(joined, in(MetricGroup::rates, request_metrics()));
    append(joined, in(MetricGroup::memory, memory_metrics()));
    append(joined, in(MetricGroup::run, run_metrics()));
    return joined;
  }();
  return all;
}

std::string words_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', ' ');
  return key;
}

double as_number(const MetricValue& value) {
  if (const auto* count = std::get_if<std::int64_t>(&value)) return static_cast<double>(*count);
  if (const auto* measure = std::get_if<double>(&value)) return *measure;
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace pregate::sim
