// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Copies that share a link or the host's memory with what else goes over it: the engine that is chosen knows.
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/parallel/simulate_group.hpp"
#include "tests/models/error_of.hpp"
#include "tests/sim/group_runs.hpp"
#include "tests/sim/timed_operations.hpp"

namespace pregate::sim {
namespace {

using test::run;

void expect_as_events(const MachineSpec& machine, const PolicySpec& policy, const ParallelSpec& spec) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 2, 6, 15);
  SCOPED_TRACE(std::to_string(spec.gpus()) + " GPUs, " + std::to_string(machine.host.memory_bandwidth.value));
  test::expect_same_figures(run(model, machine, policy, source, {.parallel = spec}),
                            run(model, machine, policy, source, {.engine = Engine::event, .parallel = spec}));
}

// Experts that go back while others come: a memory of 1.5 GB/s carries the copies of one GPU one way, one of
// 2.5 GB/s those of two.
TEST(GroupCopies, WhatGoesBackSharesTheMemoryWithWhatComes) {
  const PolicySpec swaps =
      policy({{"cache.capacity", "25%"}, {"transfer.write_back", "swap"}}, "on-demand-cache");
  expect_as_events(with_host_memory(1.5e9), swaps, {});
  for (const ParallelSpec& spec :
       {ParallelSpec{.tensor = 2}, ParallelSpec{.tensor = 2, .experts = ExpertShare::whole}})
    expect_as_events(with_host_memory(2.5e9), swaps, spec);
}

// Kernels that read over the link on which guesses are copied.
TEST(GroupCopies, ReadingOverTheLinkSharesItWithCopies) {
  const PolicySpec reads = policy(
      {{"miss.service", "read-through"}, {"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.5"}},
      "on-demand");
  for (const ParallelSpec& spec : {ParallelSpec{}, ParallelSpec{.pipeline = 2}, ParallelSpec{.tensor = 2}})
    expect_as_events(with_host_memory(1e12), reads, spec);
}

// To several GPUs, the timed engine would decide copies of one that another's layer, or its own, still
// overtakes or takes back: whoever asks for it is told.
TEST(GroupCopies, WhatOvertakesOnSeveralGpusGoesByEvents) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(5, 4, 16, 3, 2, 6, 15);
  const Set guesses = {
      {"cache.capacity", "25%"}, {"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.5"}};
  for (const Override& asks :
       {Override{"prefetch.wrong", "cancel"}, Override{"transfer.queue", "demand-first"}}) {
    const PolicySpec asked = policy(joined(guesses, {asks}), "on-demand-cache");
    for (const ParallelSpec& spec :
         {ParallelSpec{.pipeline = 2}, ParallelSpec{.tensor = 2, .experts = ExpertShare::whole}}) {
      const std::string refused = test::error_of([&] {
        run(model, with_host_memory(1e12), asked, source, {.engine = Engine::timed, .parallel = spec});
      });
      EXPECT_NE(refused.find("overtake each other or be taken back"), std::string::npos) << refused;
      expect_as_events(with_host_memory(1e12), asked, spec);
    }
  }
}

// Each system of the catalogue: the engine that is chosen gives the times of the event queue, all operations
// of a pass have one cause, and however a model is spread over GPUs as many tokens are computed.
TEST(GroupCopies, EveryPolicyTakesTheTimesOfTheEventQueue) {
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
