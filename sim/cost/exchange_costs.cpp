// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What GPUs that share layers send each other.
#include "sim/cost/cost_model.hpp"
#include "sim/platform/machine_topology.hpp"

namespace pregate::sim {

namespace {

/// One message between two GPUs of a host: over the link between them, else to the host's memory and on.
struct Between {
  Picoseconds latency;
  BytesPerSecond rate;
};
Between between_gpus_of(const MachineSpec& machine) {
  if (machine.network.hosts > 1) {
    return {machine.network.latency + machine.network.per_copy, machine.network.bandwidth};
  }
  if (machine.peer.bandwidth.value > 0)
    return {machine.peer.latency + machine.peer.per_copy, machine.peer.bandwidth};
  // Both hops at once, chunk by chunk, so that the slower one is the rate.
  const double slower = std::min(machine.h2d.bandwidth.value, machine.d2h.bandwidth.value);
  return {machine.h2d.latency + machine.h2d.per_copy + machine.d2h.latency + machine.d2h.per_copy, {slower}};
}

}  // namespace

/// Rings: an all-gather is p - 1 rounds of a p-th of the bytes each, and so is a reduce-scatter; an
/// all-reduce is one of each. All-to-all: a message to each of the others, systems.md 1.7.
Picoseconds CostModel::exchange(const Meeting& meeting) const {
  const int rounds = meeting.gpus - 1;
  if (meeting.exchange == Exchange::none || rounds == 0) return {};
  const Between between = between_gpus_of(machine_);
  const Picoseconds round =
      between.latency + time_at(Bytes{meeting.bytes.count / meeting.gpus}, between.rate);
  switch (meeting.exchange) {
    case Exchange::none:
      return {};
    case Exchange::all_reduce:
      return round * (2 * std::int64_t{rounds});
    case Exchange::all_gather:
    case Exchange::reduce_scatter:
      return round * std::int64_t{rounds};
    case Exchange::all_to_all:
      return between.latency * std::int64_t{rounds} + time_at(meeting.bytes, between.rate);
  }
  return {};
}

}  // namespace pregate::sim
