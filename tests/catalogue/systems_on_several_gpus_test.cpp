// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/timed_operations.hpp"

namespace pregate::sim {
namespace {

using test::run;

// Each system of the catalogue: the engine that is chosen gives the times of the event queue, all operations
// of a pass have one cause, and however a model is spread over GPUs as many tokens are computed.
TEST(SystemsOnSeveralGpus, TakeTheTimesOfTheEventQueue) {
  const ModelSpec model = test::tiny_model(4, 16, 2);
  const ParallelSpec specs[] = {{.pipeline = 2},
                                {.tensor = 2},
                                {.tensor = 2, .experts = ExpertShare::whole},
                                {.data = 2, .experts = ExpertShare::whole}};
  int compared = 0;
  for (const std::string& name : policy_names()) {
    for (const ParallelSpec& spec : specs) {
      for (const double host_memory : {2.5e9, 1e12}) {
        SCOPED_TRACE(name + ", " + in_words(spec) + ", " + std::to_string(host_memory));
        test::ListSource source = test::random_source(11, 4, 16, 2, 2, 6, 12);
        source.weigh_by_halves(2);
        MachineSpec machine = with_host_memory(host_memory);
        machine.near_data.memory = {1LL << 40};
        machine.near_data.memory_bandwidth = {5e9};
        machine.ssd = {.capacity = {1LL << 40}, .read_bandwidth = {0.5e9}, .latency = from_seconds(80e-6)};
        SimulationResult chosen;
        try {
          chosen = run(model, machine, load_policy(name), source, {.parallel = spec});
        } catch (const InputError& error) {  // says what, and how to mend it
          EXPECT_NE(std::string(error.what()).find("policy"), std::string::npos) << error.what();
          continue;
        }
        ASSERT_FALSE(chosen.out_of_memory) << chosen.out_of_memory_reason;
        test::expect_same_figures(chosen, run(model, machine, load_policy(name), source,
                                              {.engine = Engine::event, .parallel = spec}));
        EXPECT_EQ(chosen.path.spent.total() + chosen.path.gpu_arithmetic() + chosen.path.waiting,
                  chosen.path.finish);
        std::int64_t routed = 0;
        for (const GpuShare& gpu : chosen.gpus) routed += gpu.routed;
        const std::int64_t parts = spec.spreads_experts() ? 1 : spec.tensor;
        EXPECT_EQ(routed, source.info().routed_entries * parts);
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 200);
}

}  // namespace
}  // namespace pregate::sim
