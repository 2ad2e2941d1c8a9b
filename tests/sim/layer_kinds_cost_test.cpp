// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What attention over a cache costs by kind of layer, on a machine where only bytes count: 0.5 GB/s.
#include <gtest/gtest.h>

#include "sim/cost/cost_model.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {
namespace {

MachineSpec bytes_machine() {
  MachineSpec machine = test::tiny_machine();
  machine.gpu.memory_bandwidth = {1e9};
  machine.gpu.memory_efficiency = 0.5;
  machine.gpu.rates = {{"fp32", {1e18}}};
  return machine;
}

MachineSpec arithmetic_machine() {
  MachineSpec machine = bytes_machine();
  machine.gpu.memory_bandwidth = {1e18};
  machine.gpu.compute_efficiency = 0.5;
  machine.gpu.rates = {{"fp32", {1e9}}};
  return machine;
}

/// Attention of one token at `position`, above the same at an empty cache.
Picoseconds context_cost(const Mixer& mixer, const MachineSpec& machine, int position) {
  ModelSpec model = test::tiny_model(1, 8, 2);
  model.stacks[0].mixers[0] = mixer;
  CostModel costs(model, machine, {});
  costs.begin_step({.tokens = 1, .position = 0});
  const Picoseconds empty = costs.layer(0).attention;
  costs.begin_step({.tokens = 1, .position = position});
  return costs.layer(0).attention - empty;
}

// The tiny model's own attention: 4 heads of 16, k and v in fp32 = 512 bytes a token.
constexpr double full_bytes = 512;

TEST(LayerKinds, AWindowIsReadNoFurtherThanItReaches) {
  Mixer mixer = test::tiny_model(1, 8, 2).stacks[0].mixers[0];
  mixer.window = 100;
  // One token sees itself and 99 before it: reading stops growing there.
  EXPECT_EQ(context_cost(mixer, bytes_machine(), 50), from_seconds(50 * full_bytes / 0.5e9));
  EXPECT_EQ(context_cost(mixer, bytes_machine(), 99), from_seconds(99 * full_bytes / 0.5e9));
  EXPECT_EQ(context_cost(mixer, bytes_machine(), 5000), from_seconds(99 * full_bytes / 0.5e9));
}

// A layer's launches follow its mixer and what is beside its experts; a replayed pass has its share of them.
TEST(LayerKinds, LaunchesAreThoseOfItsMixerAndItsSharedExperts) {
  ModelSpec model = test::tiny_model(2, 8, 2);
  Mixer normed = model.stacks[0].mixers[0];
  normed.qk_norm = true;
  model.stacks[0].mixers.push_back(normed);
  model.stacks[0].layers[1].mixer = 1;
  FeedForward shared = model.stacks[0].feed_forwards[0];
  shared.moe.shared_ffn_dim = 64;
  model.stacks[0].feed_forwards.push_back(shared);
  model.stacks[0].layers[1].feed_forward = 1;
  MachineSpec machine = test::tiny_machine();
  machine.overhead.layers.added.qk_norm = from_seconds(7e-6);
  machine.overhead.layers.added.shared = from_seconds(9e-6);
  PolicySpec policy;
  for (const double replayed : {1.0, 0.5}) {
    if (replayed < 1) test::place(policy, "all");
    machine.overhead.replayed = replayed;
    CostModel costs(model, machine, policy);
    costs.begin_step({.tokens = 1, .position = 0});
    const LayerCost& plain = costs.layer(costs.layer_class(0, 0));
    const LayerCost& other = costs.layer(costs.layer_class(0, 1));
    EXPECT_EQ(plain.attention.launches, from_seconds(40e-6 * replayed));
    EXPECT_EQ(other.attention.launches, from_seconds(40e-6 * replayed) + from_seconds(7e-6 * replayed));
    EXPECT_EQ(plain.shared.launches, Picoseconds{});
    EXPECT_EQ(other.shared.launches, from_seconds(9e-6 * replayed));
  }
}

// Calls that one expert takes: each has the link's fixed costs, 10 us; a gathering kernel none.
TEST(LayerKinds, AnExpertIsCopiedInAsManyCallsAsTheSoftwareMakes) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  MachineSpec machine = test::tiny_machine();
  const Picoseconds bytes = time_at(test::tiny_expert, {1e9});
  for (const int calls : {0, 1, 3}) {
    machine.overhead.copy_calls = calls;
    const CostModel costs(model, machine, {});
    EXPECT_EQ(costs.fetch().duration, from_seconds(10e-6) * calls + bytes) << calls;
  }
  PolicySpec chunked;
  chunked.transfer.chunk = {32'768};
  EXPECT_EQ(CostModel(model, machine, chunked).fetch().fixed, from_seconds(10e-6)) << "a chunk is a call";
  // With a table of rates by size, the size of a call decides: a third of an expert at 0.5 GB/s.
  machine.h2d.table = {{{32'768}, {5e8}}, {{65'536}, {1e9}}, {{131'072}, {2e9}}};
  EXPECT_EQ(CostModel(model, machine, {}).fetch().duration, time_at(test::tiny_expert, {5e8}));
  machine.overhead.copy_calls = 0;
  EXPECT_EQ(CostModel(model, machine, {}).fetch().duration, time_at(test::tiny_expert, {2e9}));
}

TEST(LayerKinds, AnIndexerScoresTheWholeContextAndAttentionReadsItsChoice) {
  const Mixer mixer{.kind = MixerKind::multi_head_latent,
                    .heads = 4,
                    .v_head_dim = 16,
                    .kv_lora_rank = 24,
                    .qk_nope_head_dim = 16,
                    .qk_rope_head_dim = 8,
                    .indexer = {.heads = 2, .head_dim = 16, .top_k = 64}};
  // Latents of 24 + 8 fp32 = 128 bytes for at most 64 tokens, index keys of 16 = 64 bytes for all.
  const auto bytes = [](double tokens) { return std::min(tokens, 64.0) * 128 + tokens * 64; };
  EXPECT_EQ(context_cost(mixer, bytes_machine(), 63),
            from_seconds(bytes(64) / 0.5e9) - from_seconds(bytes(1) / 0.5e9));
  EXPECT_EQ(context_cost(mixer, bytes_machine(), 999),
            from_seconds(bytes(1000) / 0.5e9) - from_seconds(bytes(1) / 0.5e9));
  // Arithmetic: 2 x 4 heads x (2 x 24 + 8) a token looked at, 2 x (2 x 16 + 2) a token scored.
  const auto flop = [](double tokens) { return std::min(tokens, 64.0) * 448 + tokens * 68; };
  EXPECT_EQ(context_cost(mixer, arithmetic_machine(), 999),
            from_seconds(flop(1000) / 0.5e9) - from_seconds(flop(1) / 0.5e9));
}

TEST(LayerKinds, CompressedRunsCountAsOneEntryEach) {
  const Mixer mixer{
      .kind = MixerKind::compressed, .heads = 4, .head_dim = 16, .window = 32, .compress_ratio = 4};
  // Own tokens: 64 bytes each, 32 of them; runs of 4 tokens: 64 bytes a run.
  const auto bytes = [](double tokens) { return std::min(tokens, 32.0) * 64 + tokens / 4 * 64; };
  EXPECT_EQ(context_cost(mixer, bytes_machine(), 399),
            from_seconds(bytes(400) / 0.5e9) - from_seconds(bytes(1) / 0.5e9));
}

TEST(LayerKinds, ALinearLayerReadsAndWritesItsStateWhateverTheContext) {
  const Mixer mixer{.kind = MixerKind::gated_delta_net, .heads = 4, .head_dim = 16, .key_heads = 2};
  EXPECT_EQ(context_cost(mixer, bytes_machine(), 100'000).count, 0);
  ModelSpec model = test::tiny_model(1, 8, 2);
  model.stacks[0].mixers[0] = mixer;
  CostModel costs(model, bytes_machine(), {});
  costs.begin_step({.tokens = 1, .position = 7});
  const Picoseconds one = costs.layer(0).attention;
  costs.begin_step({.tokens = 2, .sequences = 2, .position = 7});
  // A second sequence has a state of its own: 4 heads x 16 x 16 fp32 = 4096 bytes, read and written.
  EXPECT_EQ(costs.layer(0).attention - one, from_seconds(4 * 4096 / 0.5e9) - from_seconds(2 * 4096 / 0.5e9));
}

// 100 cycles a token at 1 MHz, one token after the other; sequences beside each other.
TEST(LayerKinds, ADeltaRuleGoesThroughAPromptTokenByToken) {
  ModelSpec model = test::tiny_model(1, 8, 2);
  model.stacks[0].mixers[0] = {
      .kind = MixerKind::gated_delta_net, .heads = 4, .head_dim = 16, .key_heads = 2};
  MachineSpec machine = bytes_machine();
  const auto attention = [&](int tokens, int sequences) {
    CostModel costs(model, machine, {});
    costs.begin_step({.tokens = tokens, .sequences = sequences});
    return costs.layer(0).attention;
  };
  const Picoseconds one = attention(1, 1), state = from_seconds(2 * 4096 / 0.5e9);
  const Picoseconds without = attention(10, 1);
  machine.gpu.clock_ghz = 1e-3;
  machine.gpu.recurrence_cycles = 100;
  EXPECT_EQ(attention(1, 1), one) << "nothing to wait for";
  EXPECT_EQ(attention(10, 1) - without, from_seconds(10 * 100 / 1e6) - state);
  EXPECT_EQ(attention(20, 2) - attention(10, 1), Picoseconds{}) << "each has ten tokens";
  model.stacks[0].mixers[0].kind = MixerKind::lightning;
  EXPECT_LT(attention(10, 1), from_seconds(10 * 100 / 1e6));
}

TEST(LayerKinds, ALayerWithoutAMixerCostsNoAttention) {
  ModelSpec model = test::tiny_model(1, 8, 2);
  model.stacks[0].mixers[0] = {.kind = MixerKind::none};
  CostModel costs(model, bytes_machine(), {});
  costs.begin_step({.tokens = 1, .position = 7});
  EXPECT_EQ(costs.layer(0).attention.count, 0);
}

// Copies are priced at the mean of the experts where files store them in different formats by layer.
TEST(LayerKinds, ExpertsOfDifferentSizesAreCopiedAtTheirMean) {
  ModelSpec model = test::tiny_model(2, 8, 2);
  model.stacks[0].layers[0].stored_expert = Bytes{1000};
  model.stacks[0].layers[1].stored_expert = Bytes{3000};
  const CostModel costs(model, bytes_machine(), {});
  EXPECT_EQ(costs.fetch().bytes.count, 2000);
  EXPECT_EQ(model.expert_bytes(model.stacks[0]).count, 3000) << "slots hold the largest";
}

}  // namespace
}  // namespace pregate::sim
