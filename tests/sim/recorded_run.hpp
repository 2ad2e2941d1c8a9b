// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {

inline constexpr std::int64_t us = 1'000'000;
inline constexpr std::int64_t copy_us = 10;  // latency + per copy of tiny_machine()

inline Picoseconds copy_time() { return Picoseconds{copy_us * us} + time_at(test::tiny_expert, {1e9}); }

/// Kinds of the compute stream and fetches, in issue order: "attention L0", "fetch L1 E3", ...
inline std::vector<std::string> names(const Schedule& schedule) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < schedule.size(); ++i) {
    const Operation& op = schedule.operation(static_cast<OpId>(i));
    if (op.kind == OpKind::step_overhead || op.kind == OpKind::head || op.kind == OpKind::gate) continue;
    std::string name = to_string(op.kind);
    name += " L" + std::to_string(op.layer);
    if (op.kind == OpKind::fetch) name += " E" + std::to_string(op.expert);
    all.push_back(name);
  }
  return all;
}

inline SimulationResult recorded(const ModelSpec& model, const PolicySpec& policy, trace::StepSource& source,
                                 const MachineSpec& machine = test::tiny_machine()) {
  return test::run(model, machine, policy, source, {.recorded_steps = 1000});
}

/// Durations that the planner must have used: read from the compute-only run.
struct Durations {
  Picoseconds attention, gate, experts, readback{20 * us};
};
inline Durations durations(const ModelSpec& model, trace::StepSource& source) {
  const SimulationResult result = recorded(model, load_policy("on-demand"), source);
  Durations d;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Picoseconds took = result.timeline.finish[i] - result.timeline.start[i];
    switch (result.schedule.operation(static_cast<OpId>(i)).kind) {
      case OpKind::attention:
        d.attention = took;
        break;
      case OpKind::gate:
        d.gate = took;
        break;
      case OpKind::experts:
        d.experts = took;
        break;
      default:
        break;
    }
  }
  return d;
}

}  // namespace pregate::sim
