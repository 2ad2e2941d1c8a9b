// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Copies that share a link or the host's memory with what else goes over it: the engine that is chosen knows.
#include <gtest/gtest.h>

#include <string>

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

}  // namespace
}  // namespace pregate::sim
