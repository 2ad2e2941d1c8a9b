// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Simulates a generated trace by the library, without the program.
#include <cstdio>
#include <exception>
#include <models/catalog.hpp>
#include <sim/policy/load_policy.hpp>
#include <sim/report/report.hpp>
#include <sim/schedule/analysis.hpp>
#include <sim/simulate.hpp>
#include <traces/synthetic.hpp>

int main() {
  try {
    const pregate::ModelSpec model = pregate::load_model("switch-base-128");
    const pregate::MachineSpec machine = pregate::load_machine("a100-80g-pcie4");
    const auto trace = pregate::trace::generate(pregate::trace::load_profile("switch-base-128"), 1, 7);
    const pregate::sim::PreparedTrace prepared(*trace, model, "generated trace");
    for (const char* name : {"on-demand", "pre-gated"}) {
      const pregate::PolicySpec policy = pregate::load_policy(name);
      pregate::sim::SimulationOptions options;
      options.recorded_steps = 2;
      const auto result = pregate::sim::simulate(model, machine, policy, prepared, *trace, options);
      const auto path = pregate::sim::critical_path(result.schedule, result.timeline);
      std::printf("%s: %.3f tokens/s\n  %zu operations on the critical path of 2 steps\n", name,
                  result.tokens_per_second(), path.operations.size());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
