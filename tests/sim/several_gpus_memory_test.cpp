// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What each of several GPUs holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

using test::linked_machine;
using test::ListSource;
using test::run;
using trace::Phase;

// Huang et al. (2303.06182): 8 GPUs, 128 experts of 64 MiB in 6 MoE layers of a decoder, a buffer of 10 on
// each GPU in place of its 16 experts a layer: (16 - 10) x 6 x 64 MiB = 2.25 GiB less.
TEST(MemoryOfSeveralGpus, BuffersOfEachGpuSaveWhatWasPublished) {
  const ModelSpec model = parse_model_toml(
      "description = \"mt\"\nsource = \"test\"\nfamily = \"mixtral\"\nd_model = 2048\nvocabulary = 1000\n"
      "[weights]\nexperts = \"fp16\"\ndense = \"fp16\"\nkv_cache = \"fp16\"\n"
      "[decoder]\nlayers = 6\n[decoder.attention]\nheads = 16\nkv_heads = 16\nhead_dim = 128\n"
      "[decoder.moe]\nexperts = 128\ntop_k = 2\nffn_dim = 8192\ngated = false\n",
      "mt");
  ASSERT_EQ(model.expert_bytes(model.stacks[0]), Bytes{67'108'864});
  std::mt19937_64 random(1);
  ListSource source(test::decoder_info(6, 128, 2));
  for (int step = 0; step < 4; ++step)
    source.add(Phase::decode, 8, test::random_experts(random, 6, 128, 2, 8), step == 0, {}, 0, 8);
  const auto cache = [&](const char* slots) {
    PolicySpec policy = load_policy("expert-buffering");
    policy.cache.capacity = parse_capacity(slots, "test");
    const ParallelSpec spec{.data = 8, .experts = ExpertShare::whole, .tokens = TokenExchange::route};
    const SimulationResult result =
        run(model, load_machine("a100-80g-pcie4"), policy, source, {.parallel = spec});
    EXPECT_FALSE(result.out_of_memory) << result.out_of_memory_reason;
    return result.memory.peak[static_cast<std::size_t>(MemoryPurpose::expert_cache)];
  };
  EXPECT_EQ((cache("16 slots") - cache("10 slots")).count, 9LL << 28);  // 2.25 GiB
}

// Requests that come in time are counted as on one GPU: as many as there are places.
TEST(MemoryOfSeveralGpus, MemoryOfAllPlacesIsCounted) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  ListSource source = test::random_source(2, 4, 8, 2, 6, 5, 8);
  SimulationOptions options;
  options.serving = load_serving(std::vector<Override>{
      {"serve.batcher", "continuous"}, {"serve.max_batch", "4"}, {"serve.arrivals_per_s", "1000"}});
  for (const char* policy : {"gpu-only", "on-demand"}) {
    const SimulationResult alone = run(model, linked_machine(), load_policy(policy), source, options);
    SimulationOptions group = options;
    group.parallel.even_for_one = true;
    const SimulationResult one = run(model, linked_machine(), load_policy(policy), source, group);
    EXPECT_EQ(one.memory.peak, alone.memory.peak) << policy;
    EXPECT_EQ(one.total, alone.total) << policy;
  }
}

// What does not fit one GPU fits two.
TEST(MemoryOfSeveralGpus, MemoryIsThatOfTheFullest) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  ListSource source = test::random_source(2, 4, 8, 2, 1, 3, 4);
  const PolicySpec policy = load_policy("gpu-only");
  MachineSpec machine = linked_machine();
  const SimulationResult whole = run(model, machine, policy, source);
  machine.gpu.reserved = machine.gpu.memory - whole.memory.total() + Bytes{1};
  EXPECT_TRUE(run(model, machine, policy, source).out_of_memory);
  for (const ParallelSpec& spec :
       {ParallelSpec{.pipeline = 2}, ParallelSpec{.tensor = 2, .experts = ExpertShare::whole},
        ParallelSpec{.tensor = 2}}) {
    const SimulationResult two = run(model, machine, policy, source, {.parallel = spec});
    EXPECT_FALSE(two.out_of_memory) << two.out_of_memory_reason;
    ASSERT_EQ(two.gpus.size(), 2U);
    EXPECT_EQ(two.memory.total(), std::max(two.gpus[0].memory, two.gpus[1].memory));
  }
  machine.gpu.reserved = machine.gpu.memory - Bytes{1 << 20};
  const SimulationResult none =
      run(model, machine, policy, source, {.parallel = ParallelSpec{.pipeline = 2}});
  EXPECT_TRUE(none.out_of_memory);
  EXPECT_NE(none.out_of_memory_reason.find("GPU 0 of 2"), std::string::npos) << none.out_of_memory_reason;
}

}  // namespace
}  // namespace pregate::sim
