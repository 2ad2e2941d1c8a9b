// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/metric_lists.hpp"

namespace pregate::sim {

namespace {

/// Percentiles by request of a time whose mean is the metric `name`_ms.
std::vector<Metric> percentiles(const std::string& name, const std::string& of,
                                Percentiles SimulationResult::*times) {
  std::vector<Metric> all;
  struct Rank {
    const char* number;
    double Percentiles::*which;
  };
  for (const Rank& rank : {Rank{"50", &Percentiles::p50}, Rank{"90", &Percentiles::p90},
                           Rank{"95", &Percentiles::p95}, Rank{"99", &Percentiles::p99}}) {
    all.push_back({.name = name + "_p" + rank.number + "_ms",
                   .unit = "ms",
                   .help = of + ", " + rank.number +
                           "th percentile over the requests that have one, by nearest rank; null without any",
                   .value = [times, which = rank.which](const SimulationResult& r) -> MetricValue {
                     return (r.*times).*which;
                   }});
  }
  return all;
}

}  // namespace

std::vector<Metric> request_metrics() {
  std::vector<Metric> all = percentiles("ttft", "time to first token", &SimulationResult::ttft);
  append(all, percentiles("tpot", "time per output token after it", &SimulationResult::tpot));
  return all;
}

}  // namespace pregate::sim
