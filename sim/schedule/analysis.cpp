// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/schedule/analysis.hpp"

#include <algorithm>
#include <stdexcept>

#include "sim/schedule/graph.hpp"

namespace pregate::sim {
namespace {

void require_times(const Schedule& schedule, const Timeline& timeline) {
  if (timeline.start.size() != schedule.size() || timeline.finish.size() != schedule.size()) {
    throw std::invalid_argument("the timeline is not of this schedule: it has times of " +
                                std::to_string(timeline.finish.size()) + " operations, the schedule " +
                                std::to_string(schedule.size()));
  }
}

Picoseconds& share_of(CriticalPath& path, const Operation& operation, std::optional<StreamId> host) {
  switch (operation.kind) {
    case OpKind::fetch:
    case OpKind::write_back:
    case OpKind::device_copy:
    case OpKind::activations:
    case OpKind::drive_read:
    case OpKind::read_through:
    case OpKind::exchange:
    case OpKind::kv_load:
    case OpKind::kv_store:
      return path.transfer;
    case OpKind::cpu_experts:
    case OpKind::cpu_attention:
    case OpKind::host_predict:
      return path.cpu;
    case OpKind::gate_readback:
      return path.host;
    default:
      return operation.stream == host ? path.host : path.compute;
  }
}

/// Is predecessor `a` the one that decided, rather than `b`: it finished later, or as late and was issued
/// earlier.
bool decides(OpId a, OpId b, const Timeline& timeline) {
  if (b == no_op) return true;
  const Picoseconds fa = timeline.finish[static_cast<std::size_t>(a)];
  const Picoseconds fb = timeline.finish[static_cast<std::size_t>(b)];
  return fa > fb || (fa == fb && a < b);
}

}  // namespace

bool is_acyclic(const Schedule& schedule) {
  return find_cycle(schedule.size(), precedence_edges(schedule, nullptr)).empty();
}

CriticalPath critical_path(const Schedule& schedule, const Timeline& timeline) {
  require_times(schedule, timeline);
  CriticalPath path;
  if (schedule.size() == 0) return path;

  const auto edges = precedence_edges(schedule, &timeline);
  if (topological_order(schedule.size(), edges).empty()) {
    throw std::invalid_argument("the timeline contradicts the dependencies of its schedule");
  }
  std::vector<OpId> decisive(schedule.size(), no_op);
  for (const auto& [from, to] : edges) {
    OpId& best = decisive[static_cast<std::size_t>(to)];
    if (decides(from, best, timeline)) best = from;
  }

  const auto last = std::max_element(timeline.finish.begin(), timeline.finish.end());
  for (OpId id = last - timeline.finish.begin(); id != no_op; id = decisive[static_cast<std::size_t>(id)]) {
    path.operations.push_back(id);
  }
  std::reverse(path.operations.begin(), path.operations.end());

  Picoseconds reached;
  const std::optional<StreamId> host = schedule.platform.stream_named("host");
  for (const OpId id : path.operations) {
    const auto index = static_cast<std::size_t>(id);
    // A measured operation may start a little before its predecessor is seen to finish: time is counted once.
    const Picoseconds begin = std::max(timeline.start[index], reached);
    const Picoseconds end = std::max(timeline.finish[index], begin);
    path.waiting += begin - reached;
    share_of(path, schedule.operation(id), host) += end - begin;
    reached = end;
  }
  return path;
}

std::vector<Picoseconds> slack(const Schedule& schedule, const Timeline& timeline) {
  require_times(schedule, timeline);
  if (schedule.size() == 0) return {};
  auto edges = precedence_edges(schedule, &timeline);
  const auto order = topological_order(schedule.size(), edges);
  if (order.empty()) throw std::invalid_argument("the timeline contradicts the dependencies of its schedule");

  std::vector<std::size_t> position(schedule.size());
  for (std::size_t i = 0; i < order.size(); ++i) position[static_cast<std::size_t>(order[i])] = i;
  std::sort(edges.begin(), edges.end(), [&position](const auto& a, const auto& b) {
    return position[static_cast<std::size_t>(a.second)] > position[static_cast<std::size_t>(b.second)];
  });

  // Classic backward pass: the latest finish of an operation is the earliest latest start of its successors.
  const Picoseconds end = *std::max_element(timeline.finish.begin(), timeline.finish.end());
  std::vector<Picoseconds> latest(schedule.size(), end);
  for (const auto& [from, to] : edges) {
    const auto i = static_cast<std::size_t>(to);
    const Picoseconds latest_start = latest[i] - (timeline.finish[i] - timeline.start[i]);
    Picoseconds& before = latest[static_cast<std::size_t>(from)];
    before = std::min(before, latest_start);
  }
  for (std::size_t i = 0; i < latest.size(); ++i) latest[i] -= timeline.finish[i];
  return latest;
}

}  // namespace pregate::sim
