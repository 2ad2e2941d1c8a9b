// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/schedule/fluid_reference.hpp"
#include "tests/support/one_gpu.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace pregate::sim::test {
namespace {

using Real = long double;
using Rates = std::map<OpId, Real>;

/// Raises the rate of all open flows together until one meets its cap or a resource is full; those close.
Rates water_level_rates(const Schedule& schedule, const std::map<OpId, Real>& remaining) {
  Rates rates;
  std::map<OpId, bool> open;
  for (const auto& [id, bytes] : remaining) {
    rates[id] = 0;
    open[id] = true;
  }
  const auto uses = [&schedule](OpId id, std::size_t r) {
    return schedule.platform.resources[r].capacity.value > 0 &&
           ((schedule.operation(id).resources >> r) & 1U) != 0;
  };
  const auto any_open = [&open] {
    return std::any_of(open.begin(), open.end(), [](const auto& entry) { return entry.second; });
  };
  while (any_open()) {
    Real rise = std::numeric_limits<Real>::infinity();
    for (const auto& [id, is_open] : open) {
      if (is_open) rise = std::min(rise, Real(schedule.operation(id).rate.value) - rates[id]);
    }
    std::array<Real, one_gpu::resources> room{};
    for (std::size_t r = 0; r < one_gpu::resources; ++r) {
      room[r] = Real(schedule.platform.resources[r].capacity.value);
      int users = 0;
      for (const auto& [id, is_open] : open) {
        if (!uses(id, r)) continue;
        room[r] -= rates[id];
        users += is_open ? 1 : 0;
      }
      if (users > 0) rise = std::min(rise, room[r] / Real(users));
    }
    rise = std::max(rise, Real(0));
    for (auto& [id, is_open] : open) {
      if (is_open) rates[id] += rise;
    }
    for (auto& [id, is_open] : open) {
      const auto cap = Real(schedule.operation(id).rate.value);
      if (rates[id] >= cap * (1 - 1e-15L)) is_open = false;
      for (std::size_t r = 0; r < one_gpu::resources; ++r) {
        if (!uses(id, r)) continue;
        Real load = 0;
        for (const auto& [other, rate] : rates) load += uses(other, r) ? rate : 0;
        if (load >= Real(schedule.platform.resources[r].capacity.value) * (1 - 1e-15L)) is_open = false;
      }
    }
  }
  return rates;
}

}  // namespace

Timeline run_reference(const Schedule& schedule) {
  const auto count = static_cast<OpId>(schedule.size());
  std::vector<std::optional<Picoseconds>> start(schedule.size()), finish(schedule.size());
  const auto at = [](OpId id) { return static_cast<std::size_t>(id); };
  std::map<OpId, Real> remaining;  // bytes of the flows under way
  Real now = 0;                    // ps, whole

  const auto can_start = [&](OpId id) {
    const Operation& operation = schedule.operation(id);
    if (start[at(id)]) return false;
    for (const OpId dependency : schedule.dependencies(id)) {
      if (!finish[at(dependency)]) return false;
    }
    const bool fifo = schedule.platform[operation.stream].order == StreamOrder::fifo;
    for (OpId other = 0; other < count; ++other) {
      if (other == id || schedule.operation(other).stream != operation.stream) continue;
      if (start[at(other)] && !finish[at(other)]) return false;
      if (fifo && other < id && !finish[at(other)]) return false;
    }
    return true;
  };
  const auto more_urgent = [&](OpId a, OpId b) {
    const auto pa = schedule.operation(a).priority;
    const auto pb = schedule.operation(b).priority;
    return pa != pb ? pa < pb : a < b;
  };

  for (OpId done = 0; done < count;) {
    std::map<StreamId, OpId> chosen;
    for (OpId id = 0; id < count; ++id) {
      if (!can_start(id)) continue;
      const auto [entry, is_new] = chosen.try_emplace(schedule.operation(id).stream, id);
      if (!is_new && more_urgent(id, entry->second)) entry->second = id;
    }
    for (const auto& [stream, id] : chosen) start[at(id)] = Picoseconds{static_cast<std::int64_t>(now)};

    const auto flow_begin = [&](OpId id) {
      return Real(start[at(id)]->count + schedule.operation(id).fixed.count);
    };
    for (OpId id = 0; id < count; ++id) {
      if (start[at(id)] && !finish[at(id)] && schedule.operation(id).bytes.count > 0 &&
          flow_begin(id) == now) {
        remaining.try_emplace(id, Real(schedule.operation(id).bytes.count));
      }
    }
    const Rates rates = water_level_rates(schedule, remaining);
    // The next instant at which something ends, in whole picoseconds, and what ends then.
    const auto end_of = [&](OpId id) {
      if (!remaining.contains(id)) return flow_begin(id);
      return now + std::ceil(remaining[id] * 1e12L / rates.at(id) - 1e-3L);
    };
    Real next = std::numeric_limits<Real>::infinity();
    for (OpId id = 0; id < count; ++id) {
      if (start[at(id)] && !finish[at(id)]) next = std::min(next, end_of(id));
    }
    std::vector<OpId> ended;
    for (OpId id = 0; id < count; ++id) {
      if (!start[at(id)] || finish[at(id)] || end_of(id) != next) continue;
      if (remaining.contains(id) || schedule.operation(id).bytes.count == 0) ended.push_back(id);
    }
    for (auto& [id, bytes] : remaining)
      bytes = std::max(Real(0), bytes - rates.at(id) * (next - now) * 1e-12L);
    now = next;
    for (const OpId id : ended) {
      finish[at(id)] = Picoseconds{static_cast<std::int64_t>(now)};
      remaining.erase(id);
      ++done;
    }
  }
  Timeline timeline;
  for (OpId id = 0; id < count; ++id) {
    timeline.start.push_back(*start[at(id)]);
    timeline.finish.push_back(*finish[at(id)]);
  }
  return timeline;
}

}  // namespace pregate::sim::test
