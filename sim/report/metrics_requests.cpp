// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "sim/report/metric_lists.hpp"

namespace pregate::sim {

namespace {

struct Rank {
  const char* number;
  double Percentiles::*which;
};
constexpr std::array<Rank, 4> ranks{{{"50", &Percentiles::p50},
                                     {"90", &Percentiles::p90},
                                     {"95", &Percentiles::p95},
                                     {"99", &Percentiles::p99}}};

/// Percentiles by request of a time whose mean is the metric `name`_ms.
std::vector<Metric> percentiles(const std::string& name, const std::string& of,
                                Percentiles SimulationResult::*times) {
  std::vector<Metric> all;
  all.reserve(ranks.size());
  for (const Rank& rank : ranks) {
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

/// Of the time from arrival to the first pass, where requests arrive in time.
std::vector<Metric> queue_percentiles() {
  std::vector<Metric> all;
  all.reserve(ranks.size());
  for (const Rank& rank : ranks) {
    all.push_back({.name = std::string("queue_p") + rank.number + "_ms",
                   .unit = "ms",
                   .help = std::string("time from arrival to the first pass, ") + rank.number +
                           "th percentile, by nearest rank; absent where nothing arrives (lock step)",
                   .value = [which = rank.which](const SimulationResult& r) -> MetricValue {
                     return r.queue ? MetricValue((*r.queue).*which) : MetricValue();
                   }});
  }
  all.push_back({.name = "within_limits",
                 .unit = "0 to 1",
                 .help = "requests within serve.limits, of all; absent without limits",
                 .value = [](const SimulationResult& r) -> MetricValue {
                   if (!r.within_limits || r.requests == 0) return {};
                   return static_cast<double>(*r.within_limits) / static_cast<double>(r.requests);
                 }});
  all.push_back({.name = "goodput_requests_per_s",
                 .unit = "1/s",
                 .help = "requests within serve.limits in a second of the run; absent likewise",
                 .value = [](const SimulationResult& r) -> MetricValue {
                   if (!r.within_limits || r.total.count == 0) return {};
                   return static_cast<double>(*r.within_limits) / r.total.seconds();
                 }});
  all.push_back({.name = "preemptions",
                 .unit = "",
                 .help = "times that a request lost its KV memory to others; absent without serve.kv_block",
                 .value = [](const SimulationResult& r) -> MetricValue {
                   return r.preempted ? MetricValue(r.preempted->times) : MetricValue();
                 }});
  all.push_back({.name = "recomputed_tokens",
                 .unit = "",
                 .help = "tokens that were passed again after that; absent likewise",
                 .value = [](const SimulationResult& r) -> MetricValue {
                   return r.preempted ? MetricValue(r.preempted->tokens) : MetricValue();
                 }});
  all.push_back({.name = "dropped_routes",
                 .unit = "",
                 .help = "pairs of a token and an expert that had no room for it; absent without "
                         "parallel.capacity_factor",
                 .value = [](const SimulationResult& r) -> MetricValue {
                   return r.dropped_routes ? MetricValue(*r.dropped_routes) : MetricValue();
                 }});
  all.push_back({.name = "rebalanced_bytes",
                 .unit = "B",
                 .help = "copied to place experts anew; absent without parallel.rebalance_every",
                 .value = [](const SimulationResult& r) -> MetricValue {
                   return r.rebalanced ? MetricValue(r.rebalanced->bytes.count) : MetricValue();
                 }});
  all.push_back({.name = "idle_ms",
                 .unit = "ms",
                 .help = "of the run's time, in which no request was there; absent likewise",
                 .value = [](const SimulationResult& r) -> MetricValue {
                   return r.queue ? MetricValue(r.idle.milliseconds()) : MetricValue();
                 }});
  return all;
}

}  // namespace

std::vector<Metric> request_metrics() {
  std::vector<Metric> all = percentiles("ttft", "time to first token", &SimulationResult::ttft);
  append(all, percentiles("tpot", "time per output token after it", &SimulationResult::tpot));
  append(all, queue_percentiles());
  return all;
}

}  // namespace pregate::sim
