// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/shares.hpp"

#include <algorithm>

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

double hit_rate(const SimulationResult& result) {
  return (result.decode_steps > 0 ? result.decode_cache : result.other_cache).hit_rate();
}

PathShares path_shares(const SimulationResult& result) {
  const PathPoint& path = result.path;
  return {.compute = share(path.compute(), path.finish),
          .cpu = share(path.cpu(), path.finish),
          .transfer = share(path.transfer(), path.finish),
          .host = share(path.host(), path.finish),
          .waiting = share(path.waiting, path.finish)};
}

double busy_share(const SimulationResult& result, Picoseconds busy) {
  return share(std::min(busy, result.total), result.total);
}

Utilisation utilisation(const SimulationResult& result) {
  if (!result.has_figures()) return {};
  // While kernels read over the link it is the link that is busy.
  return {.compute = busy_share(result, busy(result, PlaceKind::gpu) - result.tally.reading),
          .h2d = busy_share(result, busy_copying(result) + result.tally.reading),
          .cpu = busy_share(result, busy(result, PlaceKind::cpu))};
}

double idle_share(const SimulationResult& result) { return share(result.idle, result.total); }

double exposed_transfer_share(const SimulationResult& result) {
  return share(result.tally.exposed_transfer, result.total);
}

double hidden_transfer_share(const SimulationResult& result) {
  if (!result.has_figures()) return 0;
  const Picoseconds copying = busy_copying(result);
  return copying.count > 0 ? 1 - share(result.tally.exposed_transfer, copying) : 0;
}

}  // namespace pregate::sim
