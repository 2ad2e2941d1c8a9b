// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Passes that have prompts, priced by the kernels of a library.
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/cost/price.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/simulate.hpp"
#include "tests/sim/driven_by_vllm.hpp"

namespace pregate::sim {
namespace {

using test::driven_by_vllm;

// 1024 tokens of a prompt in a pass beside seven sequences that decode: both attention kernels, once each.
TEST(KernelPrices, PromptsBesideDecodesAreKernelsOfTheirOwn) {
  const MachineSpec machine = driven_by_vllm("h100-sxm-pcie5");
  const ModelSpec model = load_model("gpt-oss-120b");
  const KernelPrices prices(kernel_times_of(machine), {});
  const std::vector<LayerProfile> profile = model.profile(model.stacks[0]);
  const LayerKernels layer = layer_kernels(model, model.stacks[0], profile[1], prices.gpu());
  const AlikeSequences prompt{.tokens = 1024, .sequences = 1, .position = 0};
  const AlikeSequences early{.tokens = 3, .sequences = 3, .position = 100};
  const AlikeSequences late{.tokens = 4, .sequences = 4, .position = 800};
  const auto seconds = [&](std::vector<AlikeSequences> alike) {
    return prices.scores(layer, alike).seconds();
  };
  EXPECT_NEAR(seconds({prompt, early, late}), seconds({prompt}) + seconds({early, late}), 1e-11);
  // One kernel over the mean context: (3 x 101 + 4 x 801) / 7 = 501.
  EXPECT_NEAR(seconds({early, late}), seconds({{.tokens = 7, .sequences = 7, .position = 500}}), 1e-11);
  // Two prompts in one call have one floor.
  EXPECT_NEAR(seconds({prompt, prompt}), 2 * seconds({prompt}) - layer.prefill->constants.floor_s, 1e-11);
  // Four drafts of each sequence read its keys once: below twice the time of one token each.
  EXPECT_LT(seconds({{.tokens = 32, .sequences = 8, .position = 4000}}),
            2 * seconds({{.tokens = 8, .sequences = 8, .position = 4000}}));
}

// With a share of 0.5 a prompt's kernels take twice as long and its launches what they did; decoding tokens
// and their drafts take what they did, and a pass that is half of either one and a half times as long.
TEST(KernelPrices, PassesOfPromptsReachAShareOfTheirKernelsRates) {
  MachineSpec machine = driven_by_vllm("h100-sxm-pcie5", {{"software.efficiency.prompt", "1"}});
  const ModelSpec model = load_model("gpt-oss-120b");
  const PolicySpec policy = load_policy("gpu-only");
  CostModel alone(model, machine, policy);
  machine.overhead.prompt_share = 0.5;
  CostModel served(model, machine, policy);
  const std::vector<std::uint32_t> tokens(128, 32);
  const auto expect_times = [&](double factor, const StepShape& shape) {
    alone.begin_step(shape);
    served.begin_step(shape);
    const int layer = alone.layer_class(0, 1);
    const auto compare = [&](GpuTime longer, GpuTime shorter) {
      EXPECT_NEAR(longer.kernels.seconds(), factor * shorter.kernels.seconds(), 2e-12);
      EXPECT_EQ(longer.launches.count, shorter.launches.count);
      EXPECT_EQ(longer.count - shorter.count, longer.kernels.count - shorter.kernels.count);
    };
    compare(served.layer(layer).attention, alone.layer(layer).attention);
    compare(served.layer(layer).gate, alone.layer(layer).gate);
    compare(served.experts(layer, tokens, 4096, shape.tokens, true),
            alone.experts(layer, tokens, 4096, shape.tokens, true));
  };
  expect_times(2, {.phase = trace::Phase::prefill, .tokens = 1024, .sequences = 1});
  expect_times(1, {.tokens = 8, .sequences = 8, .position = 999});
  expect_times(1, {.tokens = 8 * 16, .sequences = 8, .position = 999});
  expect_times(2, {.tokens = 8 * 17, .sequences = 8, .position = 999});
  const std::vector<AlikeSequences> mixed{{.tokens = 64, .sequences = 1, .position = 0},
                                          {.tokens = 64, .sequences = 64, .position = 500}};
  expect_times(1.5, {.tokens = 128, .sequences = 65, .alike = mixed});
}

// A layer of a pass with prompts takes what the host needs to launch it, at the least, and its own work where
// that is more; passes without prompts are replayed and take what they did.
TEST(KernelPrices, PassesWithPromptsWaitForTheHostsLaunches) {
  MachineSpec machine = driven_by_vllm("h100-sxm-pcie5");
  const ModelSpec model = load_model("gpt-oss-120b");
  const PolicySpec policy = load_policy("gpu-only");
  CostModel before(model, machine, policy);
  constexpr Picoseconds launch{5'000'000'000};
  machine.overhead.prompt_layer = launch;
  CostModel launched(model, machine, policy);
  const std::vector<std::uint32_t> tokens(128, 32);
  const auto layer_time = [&](CostModel& costs, const StepShape& shape) {
    costs.begin_step(shape);
    const LayerCost& cost = costs.layer(costs.layer_class(0, 1));
    return (cost.attention + cost.gate +
            costs.experts(costs.layer_class(0, 1), tokens, 4096, shape.tokens, true))
        .whole();
  };
  const StepShape prompt{.phase = trace::Phase::prefill, .tokens = 64, .sequences = 1};
  ASSERT_LT(layer_time(before, prompt), launch);
  EXPECT_EQ(layer_time(launched, prompt), launch);
  const std::vector<AlikeSequences> mixed{{.tokens = 64, .sequences = 1, .position = 0},
                                          {.tokens = 8, .sequences = 8, .position = 500}};
  EXPECT_EQ(layer_time(launched, {.tokens = 72, .sequences = 9, .alike = mixed}), launch);
  const StepShape decode{.tokens = 8, .sequences = 8, .position = 999};
  EXPECT_EQ(layer_time(launched, decode), layer_time(before, decode));
  const StepShape large{.phase = trace::Phase::prefill, .tokens = 65536, .sequences = 64};
  ASSERT_GT(layer_time(before, large), launch);
  EXPECT_EQ(layer_time(launched, large), layer_time(before, large));
  EXPECT_EQ(launched.late_tokens(), Picoseconds{});
  machine.overhead.launches_ahead = true;
  EXPECT_EQ(CostModel(model, machine, policy).late_tokens(), launch * 36) << "its layers";
  EXPECT_EQ(CostModel(model, machine, load_policy("on-demand")).late_tokens(), Picoseconds{}) << "no graphs";
}

// What experts of one token each took in a pass of prompts, or in a part of a pass, is not what they take in
// one that decodes.
TEST(KernelPrices, WhatPromptsAddEndsWithTheirPass) {
  MachineSpec machine = driven_by_vllm("h100-sxm-pcie5");
  machine.overhead.prompt_share = 0.5;
  const ModelSpec model = load_model("gpt-oss-120b");
  const PolicySpec policy = load_policy("gpu-only");
  CostModel fresh(model, machine, policy), used(model, machine, policy);
  const int layer = used.layer_class(0, 1);
  const std::vector<std::uint32_t> ones(4, 1);
  const StepShape decode{.tokens = 1, .sequences = 1, .position = 999};
  fresh.begin_step(decode);
  const GpuTime alone = fresh.experts(layer, ones, 4, 1, false);
  used.begin_step({.phase = trace::Phase::prefill, .tokens = 1024, .sequences = 1});
  EXPECT_EQ(used.experts(layer, ones, 4, 1, false).kernels, alone.kernels * 2);
  EXPECT_EQ(used.experts(layer, ones, 4, 1, false, 1.0), alone);
  used.begin_step(decode);
  EXPECT_EQ(used.experts(layer, ones, 4, 1, false), alone);
}

// 1024 tokens of a prompt and one token that is decoded, cut into two: the one part takes twice as long as
// its kernels do, the other as long.
TEST(KernelPrices, PartsOfAPassReachTheSharesOfTheirOwnTokens) {
  MachineSpec machine = driven_by_vllm("h100-sxm-pcie5");
  machine.overhead.prompt_share = 0.5;
  const ModelSpec model = load_model("gpt-oss-120b");
  const PolicySpec policy = load_policy("on-demand");
  const std::vector<AlikeSequences> prompt{{.tokens = 1024, .sequences = 1, .position = 0}},
      decode{{.tokens = 1, .sequences = 1, .position = 999}}, both{prompt[0], decode[0]};
  const StepShape parts[] = {{.tokens = 1024, .sequences = 1, .alike = prompt},
                             {.tokens = 1, .sequences = 1, .position = 999, .alike = decode}};
  const std::vector<std::vector<std::uint32_t>> tokens{std::vector<std::uint32_t>(128, 32),
                                                       std::vector<std::uint32_t>(4, 1)};
  CostModel of_parts(model, machine, policy), of_whole(model, machine, policy);
  Pricer pricer(of_whole);
  pricer.begin_pass({.tokens = 1025, .sequences = 2, .alike = both}, parts);
  LayerProgram program({});
  for (int part = 0; part < 2; ++part) {
    const auto& own = tokens[static_cast<std::size_t>(part)];
    Work& work = program.open(OpKind::experts, StreamId{}, 1);
    work.layer_class = of_whole.layer_class(0, 1);
    work.micro_batch = part;
    work.routed = part == 0 ? 4096 : 4;
    work.with_shared = true;
    program.compute(own);
    program.close();
    of_parts.begin_step(parts[part]);
    const Work& closed = program.work().back();
    EXPECT_EQ(pricer.price(closed, program).duration,
              of_parts.experts(closed.layer_class, own, closed.routed, parts[part].tokens, true).whole())
        << "part " << part;
  }
}

}  // namespace
}  // namespace pregate::sim
