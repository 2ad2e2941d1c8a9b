// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tests/sim/expect_same_run.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {

using Set = std::vector<Override>;

inline PolicySpec policy(Set set, const std::string& of = "on-demand") {
  for (Override& each : set) each.path = "policy." + each.path;
  return load_policy(of, set);
}

/// Of one decode step each: the experts of all layers.
inline test::ListSource steps(int layers, int experts, int top_k,
                              const std::vector<std::vector<std::uint16_t>>& ids) {
  test::ListSource source(test::decoder_info(layers, experts, top_k));
  bool first = true;
  for (const std::vector<std::uint16_t>& step : ids) {
    source.add(trace::Phase::decode, 1, step, first);
    first = false;
  }
  return source;
}

/// The same in both engines.
inline SimulationResult run_both(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                                 trace::StepSource& source) {
  const SimulationResult timed = test::run(model, machine, policy, source),
                         event = test::run(model, machine, policy, source, {.engine = Engine::event});
  test::expect_same_run(timed, event);
  return timed;
}

/// A copy takes this long, by its latency alone.
inline MachineSpec copies_take(Picoseconds time, Bytes copied = test::tiny_expert) {
  MachineSpec machine = test::tiny_machine();
  machine.h2d.per_copy = {};
  machine.h2d.bandwidth = machine.host.memory_bandwidth = {1e18};
  machine.h2d.latency = time - time_at(copied, {1e18});
  return machine;
}

inline Set joined(Set a, const Set& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace pregate::sim
