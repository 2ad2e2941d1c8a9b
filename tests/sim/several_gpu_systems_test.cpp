// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Published systems of several GPUs, by the names of their policies, and hand-checked examples of them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/parallel/dealt_tokens.hpp"
#include "sim/parallel/parallel_fields.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

using test::linked_machine;
using test::ListSource;
using trace::Phase;

SimulationResult run_by_name(const std::string& name, trace::StepSource& source, const ParallelFlags& flags,
                             const std::vector<Override>& set = {}) {
  const PolicySpec policy = load_policy(name);
  SimulationOptions options{.parallel = load_parallel(flags, set, policy.parallel)};
  options.parallel.placement.clear();  // by rule: placing by a trace is tested with the program
  return test::run(test::tiny_model(4, 16, 2), linked_machine(), policy, source, options);
}

TEST(SeveralGpuSystems, RunByTheirNames) {
  for (const char* name : {"deepspeed-moe", "huang-dynamic-gating", "huang-static-gating", "exflow",
                           "moetuner", "eplb", "llama-cpp-layer-split", "strata-two-gpus"}) {
    ListSource source = test::random_source(3, 4, 16, 2, 2, 4, 10);
    const PolicySpec policy = load_policy(name);
    const ParallelSpec own = load_parallel({}, {}, policy.parallel);
    EXPECT_GT(own.gpus(), 1) << name;
    const SimulationResult result = run_by_name(name, source, {});
    EXPECT_FALSE(result.out_of_memory) << name << ": " << result.out_of_memory_reason;
    EXPECT_EQ(result.gpus.size(), static_cast<std::size_t>(own.gpus())) << name;
    EXPECT_GT(result.total.count, 0) << name;
    // The command line comes after the file, and one GPU is one GPU.
    EXPECT_TRUE(load_parallel({.gpus = 1}, {}, policy.parallel).is_one()) << name;
  }
  EXPECT_EQ(load_parallel({.data = 4, .expert = 4}, {}, load_policy("exflow").parallel).data, 4);
  EXPECT_EQ(load_parallel({.data = 4, .expert = 4}, {}, load_policy("exflow").parallel).tokens,
            TokenExchange::follow);
  EXPECT_EQ(
      load_parallel({}, std::vector<Override>{{"parallel.redundant", "8"}}, load_policy("eplb").parallel)
          .redundant,
      8);
  const Node unknown = parse_policy_toml("[parallel]\nstages = 2\n", "own.toml").parallel;
  EXPECT_THROW(load_parallel({}, {}, unknown), InputError);
}

// ExFlow (2401.08383), 2 GPUs, 4 experts, transitions of 200 tokens between two layers. With {0, 2} and {1,
// 3} on a GPU in both layers, 10 of them change the GPU; with {0, 1} and {2, 3} 10 + 20 one way and 10 + 20
// the other. Routed, every token whose expert is not where its request is would go there and back in both
// layers.
TEST(SeveralGpuSystems, ExFlowMovesATokenOnlyWhereItsNextExpertIsElsewhere) {
  const int transitions[4][4] = {{40, 0, 10, 0}, {0, 30, 0, 20}, {10, 0, 30, 10}, {0, 20, 0, 30}};
  std::vector<std::uint16_t> first, second;
  for (std::uint16_t from = 0; from < 4; ++from) {
    for (std::uint16_t to = 0; to < 4; ++to) {
      first.insert(first.end(), static_cast<std::size_t>(transitions[from][to]), from);
      second.insert(second.end(), static_cast<std::size_t>(transitions[from][to]), to);
    }
  }
  ASSERT_EQ(first.size(), 200U);
  trace::Step step;
  step.tokens = step.sequences = 200;
  const auto moved = [&](const std::vector<std::uint8_t>& homes) {
    DealtTokens dealt({.data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::follow}, 8);
    ExpertOwners owners(4);
    for (std::size_t expert = 0; expert < 4; ++expert) owners.add(expert, homes[expert]);
    dealt.deal(step);
    std::ignore = dealt.followed(first, 1, owners, Bytes{1});
    EXPECT_EQ(dealt.returned().heaviest_gpu(), Bytes{0});  // of one expert a token nothing comes back
    return dealt.followed(second, 1, owners, Bytes{1}).heaviest_gpu().count;
  };
  EXPECT_EQ(moved({0, 1, 0, 1}), 10);
  EXPECT_EQ(moved({0, 0, 1, 1}), 30);
}

// The same tokens, by requests: every second one is of the second GPU's.
TEST(SeveralGpuSystems, AlignedExpertsTakeLessTimeInExFlow) {
  ListSource source(test::decoder_info(4, 16, 2));
  for (int step = 0; step < 6; ++step) {
    std::vector<std::uint16_t> ids;
    for (int layer = 0; layer < 4; ++layer) {
      for (int token = 0; token < 4; ++token) {
        // A token keeps to two experts of one residue, whatever the layer.
        ids.push_back(static_cast<std::uint16_t>((token + 1) % 4));
        ids.push_back(static_cast<std::uint16_t>((token + 1) % 4 + 4));
      }
    }
    source.add(Phase::decode, 4, ids, step == 0, {}, 0, 4);
  }
  const auto total = [&](const char* spread, const char* tokens) {
    return run_by_name("exflow", source, {.data = 4, .expert = 4},
                       {{"parallel.spread", spread}, {"parallel.tokens", tokens}})
        .total;
  };
  // Experts e mod 4 of a GPU: one change of GPU at the first layer, none later.
  EXPECT_LT(total("round-robin", "follow"), total("contiguous", "follow"));
  EXPECT_LT(total("round-robin", "follow"), total("round-robin", "route"));
}

// llama.cpp: layer i of n belongs to the first GPU whose share of the memory, with those before it, is more
// than i / (n + 1). 24 and 12 GiB: 2/3 of 49 places, 0 to 32, of 48 layers.
TEST(SeveralGpuSystems, LlamaCppSplitsLayersByMemory) {
  const ParallelSpec two{.pipeline = 2};
  const std::vector<Bytes> memory{{24LL << 30}, {12LL << 30}}, equal{{1}, {1}};
  EXPECT_EQ(stage_layers(48, two, memory), (std::vector<std::pair<int, int>>{{0, 33}, {33, 48}}));
  EXPECT_EQ(stage_layers(48, two, equal), (std::vector<std::pair<int, int>>{{0, 25}, {25, 48}}));
  EXPECT_EQ(stage_layers(48, two), (std::vector<std::pair<int, int>>{{0, 24}, {24, 48}}));
  ParallelSpec given = two;
  given.layers = "20,28";
  EXPECT_EQ(stage_layers(48, given, memory), (std::vector<std::pair<int, int>>{{0, 20}, {20, 48}}));
  for (const char* wrong : {"20", "20,27", "20,28,0", "a,b", "48,0", "-1,49"}) {
    given.layers = wrong;
    EXPECT_THROW(stage_layers(48, given), InputError) << wrong;
  }
}

/// The machine with a second GPU of another kind: half its rates, a link of a third.
MachineSpec unequal_machine() {
  MachineSpec machine = linked_machine();
  MachineSpec other = machine;
  other.gpu.memory_bandwidth.value /= 2;
  other.gpu.memory = Bytes{machine.gpu.memory.count / 2};
  for (auto& [precision, rate] : other.gpu.rates) rate.value /= 2;
  other.h2d.bandwidth.value /= 3;
  other.overhead.attention = machine.overhead.attention * 2;
  machine.others = {other};
  return machine;
}

// Each stage at the prices of its own GPU: layer by layer in closed form, with what is handed over.
TEST(UnequalGpus, AStageTakesWhatItsGpuTakes) {
  const ModelSpec model = test::tiny_model(4, 8, 2);
  ListSource source(test::decoder_info(4, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 2, 3, 4, 5, 6, 7}, true);
  const PolicySpec policy = load_policy("on-demand");
  const MachineSpec machine = unequal_machine();
  const auto total = [&](const MachineSpec& on, const std::string& layers) {
    ParallelSpec spec{.pipeline = 2};
    spec.layers = layers;
    return test::run(model, on, policy, source, {.parallel = spec}).total;
  };
  MachineSpec fast = machine, slow = machine.others.front();
  fast.others.clear();
  CostModel of_fast(model, fast, policy), of_slow(model, slow, policy);
  for (CostModel* costs : {&of_fast, &of_slow}) costs->begin_step({.tokens = 1});
  const auto layer_time = [&](CostModel& costs) {
    const LayerCost& layer = costs.layer(0);
    const std::vector<std::uint32_t> each{1, 1};
    return layer.attention.whole() + layer.gate.whole() + layer.gate_readback + costs.fetch_train() * 2 +
           costs.experts(0, each, 2, 1, true).whole();
  };
  const Picoseconds sent = from_seconds(5e-6) + time_at(Bytes{64 * 4}, machine.peer.bandwidth);
  const auto expected = [&](int first) {
    return of_fast.step_overhead().whole() + layer_time(of_fast) * first + sent +
           layer_time(of_slow) * (4 - first) + of_slow.head().whole();
  };
  EXPECT_EQ(total(machine, "3,1"), expected(3));
  EXPECT_EQ(total(machine, "1,3"), expected(1));
  // One GPU of the two is what it was.
  const SimulationResult alone = test::run(model, fast, policy, source);
  EXPECT_EQ(test::run(model, machine, policy, source).total, alone.total);
}

TEST(UnequalGpus, WhatTheyCannotDoIsRefused) {
  ListSource source = test::random_source(1, 4, 8, 2, 1, 0, 2);
  const auto attempt = [&](const ParallelSpec& spec) {
    return test::run(test::tiny_model(4, 8, 2), unequal_machine(), load_policy("gpu-only"), source,
                     {.parallel = spec});
  };
  EXPECT_NO_THROW(attempt({.pipeline = 2, .layers = "2,2"}));
  EXPECT_THROW(attempt({.pipeline = 2}),
               InputError);  // by its memory the second GPU gets none of four layers
  EXPECT_THROW(attempt({.pipeline = 3}), InputError);
  EXPECT_THROW(attempt({.tensor = 2}), InputError);
}

TEST(UnequalGpus, AMachineNamesThem) {
  const MachineSpec machine =
      load_machine("rtx4090-pcie4", std::vector<Override>{{"machine.gpu.others", "rtx3090-pcie4"}});
  ASSERT_EQ(machine.others.size(), 1U);
  EXPECT_EQ(machine.others.front().gpu.memory_bandwidth, load_machine("rtx3090-pcie4").gpu.memory_bandwidth);
  EXPECT_THROW(load_machine("rtx4090-pcie4", std::vector<Override>{{"machine.gpu.others", "rtx0000"}}),
               InputError);
}

// Files may name each other, and themselves.
TEST(UnequalGpus, OthersNameNoneThemselves) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("pregate-" + std::to_string(getpid()) + "-others");
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& name, const std::string& gpu) {
    const std::filesystem::path path = folder / name;
    std::ofstream(path) << "extends = \"rtx3090-pcie4\"\n[gpu]\n" << gpu << "\n";
    return path.string();
  };
  const std::string itself = write("itself.toml", "others = \"" + (folder / "itself.toml").string() + "\"");
  const std::string two = write("two.toml", "count = 2"), one = write("one.toml", "count = 1");
  EXPECT_THROW(load_machine(itself), InputError);
  const auto beside = [](const std::string& other) {
    return load_machine("rtx4090-pcie4", std::vector<Override>{{"machine.gpu.others", other}});
  };
  EXPECT_EQ(beside(one).others.size(), 1U);
  EXPECT_THROW(beside(two), InputError) << "it would count as one";
  EXPECT_THROW(beside(itself), InputError);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace pregate::sim
