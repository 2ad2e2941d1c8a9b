// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "sim/report/report.hpp"

namespace pregate::sim {

namespace {

double share(Picoseconds part, Picoseconds whole) {
  return whole.count > 0 ? static_cast<double>(part.count) / static_cast<double>(whole.count) : 0;
}

/// Of the first such place.
Picoseconds busy(const SimulationResult& result, PlaceKind kind) {
  const Topology& topology = result.topology;
  return result.tally.busy[number_of(topology[topology.first(kind)].compute)];
}

Picoseconds busy_copying(const SimulationResult& result) {
  const Topology& topology = result.topology;
  const MemoryId gpu = topology[topology.first(PlaceKind::gpu)].memory,
                 host = topology[topology.first(PlaceKind::cpu)].memory;
  return result.tally.busy[number_of(topology.route(host, gpu).front().stream)];
}

}  // namespace

Figures figures(const SimulationResult& result) {
  Figures f;
  if (!result.has_figures()) return f;
  const Tally& tally = result.tally;
  f.tokens_per_s = result.tokens_per_second();
  f.decode_tokens_per_s = result.decode_tokens_per_second();
  f.ttft_ms = result.requests_with_prompt > 0 ? result.ttft_ms : std::numeric_limits<double>::quiet_NaN();
  f.tpot_ms = result.tpot_ms;
  f.block_mean_ms = tally.block_latency.mean_ms();
  f.block_p50_ms = tally.block_latency.percentile_ms(0.50);
  f.block_p95_ms = tally.block_latency.percentile_ms(0.95);
  f.block_p99_ms = tally.block_latency.percentile_ms(0.99);
  f.hit_rate = (result.decode_steps > 0 ? result.decode_cache : result.other_cache).hit_rate();
  f.exposed_transfer_ms = tally.exposed_transfer.milliseconds();
  f.exposed_cpu_ms = tally.exposed_cpu.milliseconds();
  f.exposed_host_ms = tally.exposed_host.milliseconds();
  f.exposed_transfer_share = share(tally.exposed_transfer, result.total);
  f.h2d_bytes_per_token = result.output_tokens > 0 ? static_cast<double>(tally.fetched.count) /
                                                         static_cast<double>(result.output_tokens)
                                                   : 0;
  const Picoseconds copying = busy_copying(result);
  f.compute_utilisation = share(busy(result, PlaceKind::gpu), result.total);
  f.cpu_utilisation = share(busy(result, PlaceKind::cpu), result.total);
  f.h2d_utilisation = share(copying, result.total);
  f.hidden_transfer_share = copying.count > 0 ? 1 - share(tally.exposed_transfer, copying) : 0;
  const PathPoint& path = result.path;
  f.path_compute = share(path.compute(), path.finish);
  f.path_cpu = share(path.cpu(), path.finish);
  f.path_transfer = share(path.transfer(), path.finish);
  f.path_host = share(path.host(), path.finish);
  f.path_waiting = share(path.waiting, path.finish);
  return f;
}

}  // namespace pregate::sim
