// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "sim/cost/graph_memory.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"
#include "traces/synthetic.hpp"

namespace pregate::sim {
namespace {

/// One request of the generated Switch trace: encoder and decoder, batch 1.
struct SwitchRun {
  std::unique_ptr<trace::StepSource> source;
  ModelSpec model;
  std::int64_t peak(const std::string& policy, CountedExperts counted) {
    const PreparedTrace prepared(*source, model, "test");
    return simulate(model, load_machine("a100-80g-pcie4"), load_policy(policy), prepared, *source,
                    {.counted = counted})
        .memory.total()
        .count;
  }
};

SwitchRun switch_run(const std::string& name) {
  return {trace::generate(trace::load_profile(name), 1, 1), load_model(name)};
}

// The peak-memory rule of the Pre-gated MoE artifact (peak_mems.csv), to the byte.
TEST(Memory, DifferencesBetweenDesignsAreWholeExperts) {
  SwitchRun run = switch_run("switch-base-128");
  const std::int64_t expert = 18'874'368, experts = 128, decoder_layers = 6;
  const std::int64_t on_demand = run.peak("on-demand", CountedExperts::decoder);
  EXPECT_EQ(run.peak("pre-gated", CountedExperts::decoder) - on_demand, expert);
  EXPECT_EQ(run.peak("prefetch-all", CountedExperts::decoder) - on_demand, (2 * experts - 1) * expert);
  EXPECT_EQ(run.peak("gpu-only", CountedExperts::decoder) - on_demand,
            (decoder_layers * experts - 1) * expert);
  EXPECT_EQ(run.peak("gpu-only", CountedExperts::all) - on_demand,
            (2 * decoder_layers * experts - 1) * expert);
}

// Of Switch-Base-128: 1 GB, half of 128 experts of 18,874,368 B, a tenth of that and of all else. It takes
// the place of 32 MiB, and of as much that was reserved.
TEST(Memory, WhatTheSoftwareHoldsIsCountedAndNotReservedAsWell) {
  SwitchRun run = switch_run("switch-base-128");
  const auto use = [&](const MachineSpec& on) {
    const PreparedTrace prepared(*run.source, run.model, "test");
    return simulate(run.model, on, load_policy("on-demand"), prepared, *run.source).memory;
  };
  MachineSpec machine = load_machine("a100-80g-pcie4");
  const MemoryUse before = use(machine);
  machine.memory = {.framework = {1'000'000'000}, .layer_experts = 0.5};
  constexpr std::int64_t own = 1'000'000'000 + 64 * 18'874'368LL, workspace = 32LL << 20;
  EXPECT_EQ(use(machine).total().count, before.total().count - workspace + own);
  EXPECT_EQ(use(machine).usable.count, before.usable.count + 1'000'000'000);
  machine.memory.framework = machine.gpu.reserved * 2;
  EXPECT_EQ(use(machine).usable, machine.gpu.memory);
  machine.memory = {.fragmentation = 0.1};
  EXPECT_EQ(use(machine).total().count, (before.total().count * 11 + 5) / 10);
}

// What llama.cpp said of 23 of the 32 layers of Mixtral-8x7B q4_0 (ollama/ollama#3301): a buffer of 18.0 GB.
// A layer here: 8 experts of 3 x 4096 x 14336 and attention of 2 x 4096 x (4096 + 1024), 4.5 bits each, is
// 816 MB.
TEST(Memory, LayersOfMixtralTakeWhatLlamaCppAllocates) {
  ModelSpec model = load_model("mixtral-8x7b");
  model.expert_format = model.dense_format = weight_format("q4_0", "test");
  const Stack& decoder = model.stacks.front();
  std::int64_t bytes = 0;
  const std::vector<LayerProfile> layers = model.profile(decoder);
  for (std::size_t layer = 0; layer < 23; ++layer)
    bytes += layers[layer].attention_weights.count + 8 * model.expert_bytes(decoder).count;
  EXPECT_NEAR(static_cast<double>(bytes), 18.0e9, 1.8e9);
}

constexpr double mib = 1 << 20;
double in_mib(Bytes bytes) { return static_cast<double>(bytes.count) / mib; }

// "CUDA0 compute buffer size" as llama.cpp's logs print it, -ub 512 with flash attention.
//   gpt-oss-20b at 131072 tokens, build 6699: 456.98 MiB
//   (ikawrakow/ik_llama.cpp issue 822); a layer's mask of the whole cache
//   decides. Qwen3-Coder-30B-A3B at 65536 tokens: 300.75 MiB (its log says 48
//   layers, K and V of 3072 MiB each); the logits decide: 512 x 4 B x (151936 +
//   2048), to the byte.
TEST(GraphMemory, BuffersAreThoseThatLogsPrint) {
  EXPECT_NEAR(in_mib(graph_buffers(load_model("gpt-oss-20b"), 512, 131'072)), 456.98, 0.005 * 456.98);
  EXPECT_EQ(graph_buffers(load_model("qwen3-30b-a3b"), 512, 65'536).count, 315'359'232);
  EXPECT_EQ(in_mib(Bytes{315'359'232}), 300.75);
}

// "KV buffer size" of the same logs: of gpt-oss 12 layers with 131072 cells, 3072 MiB, and 12 with a window
// of 128 that hold 768 cells, 18 MiB; of Qwen3-30B-A3B 6144 MiB.
TEST(GraphMemory, CachesAreThoseThatLogsPrint) {
  EXPECT_EQ(in_mib(cache_in_cells(load_model("gpt-oss-20b"), 131'072, 512, 256)), 3072 + 18);
  EXPECT_EQ(in_mib(cache_in_cells(load_model("qwen3-30b-a3b"), 65'536, 512, 256)), 6144);
  EXPECT_EQ(in_mib(cache_in_cells(load_model("qwen3-30b-a3b"), 65'535, 512, 256)), 6144);
}

// "CUDA0 model buffer size = 1242.03 MiB" of gpt-oss-20b with all experts on the CPU (-ncmoe 99): attention,
// routers and head in q8_0, the input embedding on the host.
TEST(GraphMemory, WhatIsNotExpertsIsAsTheLogSays) {
  const SoftwareSpec llama = load_software("llama-cpp");
  const ModelSpec model =
      load_model("gpt-oss-20b", {.weights = {}, .dense_weights = llama.files.beside_mxfp4});
  EXPECT_TRUE(llama.memory.host_embeddings);
  EXPECT_NEAR(in_mib(model.dense_bytes() - model.input_embedding_bytes()), 1242.03, 0.01 * 1242.03);
}

// Buffers for 512 tokens are there for a prompt of 60, and the input embedding is not on the GPU: 100 x 64
// values of 4 bytes. Cells of 256 hold a context of 61.
TEST(GraphMemory, IsCountedInARun) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const auto use = [&](const SoftwareMemorySpec& software) {
    test::ListSource source(test::decoder_info(1, 8, 2));
    std::vector<std::uint16_t> ids;
    for (int i = 0; i < 60; ++i) ids.insert(ids.end(), {0, 1});
    source.add(trace::Phase::prefill, 60, std::move(ids), true);
    MachineSpec machine = test::tiny_machine();
    machine.memory = software;
    return test::run(model, machine, load_policy("gpu-only"), source).memory;
  };
  const auto part = [](const MemoryUse& of, MemoryPurpose purpose) {
    return of.peak[static_cast<std::size_t>(purpose)].count;
  };
  const MemoryUse plain = use({}), by_graph = use({.host_embeddings = true, .reserved_tokens = 512});
  EXPECT_EQ(part(plain, MemoryPurpose::dense_weights) - part(by_graph, MemoryPurpose::dense_weights),
            100 * 64 * 4);
  EXPECT_EQ(part(by_graph, MemoryPurpose::activations), graph_buffers(model, 512, 60).count);
  const MemoryUse celled = use({.cache_cells = 256});
  EXPECT_EQ(part(celled, MemoryPurpose::kv_cache) * 60, part(plain, MemoryPurpose::kv_cache) * 256);
}

// One expert a layer lives on the GPU: of software that maps its file the host holds the others, else all.
TEST(Memory, WhatLivesOnTheGpuNeedNotBeOnTheHost) {
  SwitchRun run = switch_run("switch-base-128");
  const PreparedTrace prepared(*run.source, run.model, "test");
  PolicySpec policy = load_policy("fiddler");
  policy.placement.kind.set("count", "1");
  const auto host = [&](bool host_copies) {
    MachineSpec machine = load_machine("a100-80g-pcie4");
    machine.memory.host_copies = host_copies;
    run.source->rewind();
    return simulate(run.model, machine, policy, prepared, *run.source).memory.host;
  };
  constexpr std::int64_t expert = 18'874'368, moe_layers = 12;
  EXPECT_EQ(host(true), run.model.all_expert_bytes());
  EXPECT_EQ(host(false).count, run.model.all_expert_bytes().count - moe_layers * expert);
}

// CPU and GPU of a GB10 share 128 GB: what the GPU holds is not there for the experts that wait in host
// memory.
TEST(Memory, OfOneMemoryNothingCountsTwice) {
  SwitchRun run = switch_run("switch-base-128");
  const MachineSpec machine = load_machine("gb10-unified");
  const MachineSpec apart = load_machine("gh200-nvlink-c2c");
  const auto use = [&](const MachineSpec& on) {
    const PreparedTrace prepared(*run.source, run.model, "test");
    return simulate(run.model, on, load_policy("on-demand"), prepared, *run.source).memory;
  };
  EXPECT_EQ(use(machine).host_usable, machine.host.memory - use(machine).total());
  EXPECT_EQ(use(apart).host_usable, apart.host.memory);
}

// Activations of a prefill are those of a chunk; its time is that of one pass.
TEST(Memory, ActivationsOfAPromptAreThoseOfAChunk) {
  const ModelSpec model = test::tiny_model(1, 8, 2);
  const auto peak = [&](trace::Phase phase, int tokens, int chunk, SimulationResult& result) {
    test::ListSource source(test::decoder_info(1, 8, 2));
    std::vector<std::uint16_t> ids;
    for (int i = 0; i < tokens; ++i) ids.insert(ids.end(), {0, 1});
    source.add(phase, tokens, std::move(ids), true);
    result = test::run(model, test::tiny_machine(), load_policy("gpu-only"), source, {.prompt_chunk = chunk});
    return result.memory.peak[static_cast<std::size_t>(MemoryPurpose::activations)].count;
  };
  // 3 x 64 + 2 x 2 x 128 values of 4 bytes a token, 100 logits of 4 bytes.
  constexpr std::int64_t a_token = (3 * 64 + 2 * 2 * 128) * 4, logits = 4 * 100;
  SimulationResult whole, chunked;
  EXPECT_EQ(peak(trace::Phase::prefill, 60, 0, whole), 60 * a_token + logits);
  EXPECT_TRUE(whole.notes.empty());
  EXPECT_EQ(peak(trace::Phase::prefill, 60, 16, chunked), 16 * a_token + logits);
  EXPECT_EQ(chunked.total, whole.total) << "a matter of memory alone, and the result says so";
  EXPECT_THAT(chunked.notes,
              testing::ElementsAre("activations are counted for prompt chunks of 16 tokens "
                                   "(--prompt-chunk), the prompt's time for one pass over 60"));
  EXPECT_EQ(peak(trace::Phase::prefill, 16, 16, chunked), 16 * a_token + logits);
  EXPECT_TRUE(chunked.notes.empty());
}

TEST(Memory, OutOfMemoryIsAResultThatSaysWhatNeedsHowMuch) {
  SwitchRun run = switch_run("switch-large-128");
  const PreparedTrace prepared(*run.source, run.model, "test");
  const SimulationResult result =
      simulate(run.model, load_machine("a100-80g-pcie4"), load_policy("gpu-only"), prepared, *run.source);
  EXPECT_TRUE(result.out_of_memory);
  // 2 stacks x 12 MoE layers x 128 experts x 33,554,432 B = 96 GiB.
  EXPECT_THAT(result.out_of_memory_reason, testing::HasSubstr("resident experts 96.0"));
  EXPECT_THAT(result.out_of_memory_reason, testing::HasSubstr("a100-80g-pcie4 has 79.0 GiB usable"));
}

TEST(Memory, PeakIsExactAtTheLimit) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = test::random_source(1, 2, 8, 1, 1, 3, 4);
  MachineSpec machine = test::tiny_machine();
  const SimulationResult fits = test::run(model, machine, load_policy("gpu-only"), source);
  machine.gpu.memory = machine.gpu.reserved + fits.memory.total();
  EXPECT_FALSE(test::run(model, machine, load_policy("gpu-only"), source).out_of_memory);
  machine.gpu.memory = machine.gpu.memory - Bytes{1};
  EXPECT_TRUE(test::run(model, machine, load_policy("gpu-only"), source).out_of_memory);
}

// 2 layers of 8 experts and one working buffer. With memory for exactly 3 slots a layer, and a byte less than
// two more experts beside them, 3 slots a layer is the largest cache.
TEST(Memory, TheLargestCacheThatFitsIsFound) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = test::random_source(1, 2, 8, 1, 1, 0, 4);
  MachineSpec machine = test::tiny_machine();
  const auto with = [&](const char* capacity) {
    PolicySpec policy = load_policy("on-demand");
    policy.cache.capacity = parse_capacity(capacity, "test");
    return test::run(model, machine, policy, source);
  };
  const Bytes three = with("3 slots").memory.total();
  machine.gpu.memory = machine.gpu.reserved + three + test::tiny_expert * 2 - Bytes{1};
  const SimulationResult result = with("8 slots");
  ASSERT_TRUE(result.out_of_memory);
  ASSERT_TRUE(result.fits_with.cache.has_value());
  EXPECT_EQ(to_string(*result.fits_with.cache), "3 slots");
  EXPECT_EQ(result.fits_with.cache_bytes, test::tiny_expert * 6);
  EXPECT_FALSE(with("3 slots").out_of_memory);
  EXPECT_TRUE(with("4 slots").out_of_memory);
  EXPECT_THAT(result.fits_with.text(),
              testing::StartsWith("--cache '3 slots' (0.0 GiB); or --weights fp16, bf16 or "));
}

// All 16 experts do not fit by one byte: 7 slots a layer and on-demand's buffer are 15, and each format that
// is named does fit.
TEST(Memory, FormatsThatFitAreTried) {
  ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = test::random_source(1, 2, 8, 1, 1, 0, 4);
  MachineSpec machine = test::tiny_machine();
  const Bytes needed = test::run(model, machine, load_policy("gpu-only"), source).memory.total();
  machine.gpu.memory = machine.gpu.reserved + needed - Bytes{1};
  const SimulationResult result = test::run(model, machine, load_policy("gpu-only"), source);
  ASSERT_TRUE(result.out_of_memory);
  EXPECT_TRUE(result.fits_with.as_on_demand);
  EXPECT_EQ(to_string(result.fits_with.cache.value_or(Capacity{})), "7 slots");
  ASSERT_FALSE(result.fits_with.weights.empty());
  for (const std::string& format : result.fits_with.weights) {
    store_experts_as(model, format, "test");
    EXPECT_FALSE(test::run(model, machine, load_policy("gpu-only"), source).out_of_memory) << format;
  }
}

// As --weights would store the experts, whose formats differ by layer before and after.
TEST(Memory, FormatsThatFitAreThoseOfEveryLayer) {
  ModelSpec model = test::tiny_model(2, 8, 1);
  store_experts_as(model, "q4_k_m", "test");
  ASSERT_FALSE(model.formats.empty());
  test::ListSource source = test::random_source(1, 2, 8, 1, 1, 0, 4);
  MachineSpec machine = test::tiny_machine();
  const auto taken = [&](const std::string& format) {
    ModelSpec stored = model;
    store_experts_as(stored, format, "test");
    return test::run(stored, machine, load_policy("gpu-only"), source).memory.total();
  };
  const std::string widest = "q3_k";  // of those that are to fit
  machine.gpu.memory = machine.gpu.reserved + taken(widest);
  const SimulationResult result = test::run(model, machine, load_policy("gpu-only"), source);
  ASSERT_TRUE(result.out_of_memory);
  EXPECT_THAT(result.fits_with.weights, testing::Contains(widest));
  for (const std::string& format : result.fits_with.weights)
    EXPECT_LE(taken(format), taken(widest)) << format;
}

TEST(Memory, WhereNothingFitsThatIsSaid) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = test::random_source(1, 2, 8, 1, 1, 0, 4);
  MachineSpec machine = test::tiny_machine();
  machine.gpu.memory = machine.gpu.reserved + test::tiny_expert;  // the workspace alone takes more
  const SimulationResult result = test::run(model, machine, load_policy("on-demand"), source);
  ASSERT_TRUE(result.out_of_memory);
  EXPECT_FALSE(result.fits_with.any());
  EXPECT_EQ(result.fits_with.text(), "");
}

TEST(Memory, ExpertsMustFitTheHost) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = test::random_source(1, 2, 8, 1, 1, 3, 4);
  MachineSpec machine = test::tiny_machine();
  machine.host.memory = test::tiny_expert * 16 - Bytes{1};
  const SimulationResult result = test::run(model, machine, load_policy("on-demand"), source);
  EXPECT_TRUE(result.out_of_memory);
  EXPECT_THAT(result.out_of_memory_reason, testing::HasSubstr("host memory"));
}

TEST(Memory, AnExpertLargerThanTheGpuIsBadInput) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = test::random_source(1, 2, 8, 1, 1, 0, 1);
  MachineSpec machine = test::tiny_machine();
  machine.gpu.memory = machine.gpu.reserved + test::tiny_expert - Bytes{1};
  EXPECT_THROW(test::run(model, machine, load_policy("on-demand"), source), InputError);
}

TEST(Cache, SmallerThanASetIsSaidAndStillRight) {
  const ModelSpec model = test::tiny_model(2, 8, 3);
  test::ListSource source = test::random_source(1, 2, 8, 3, 1, 0, 10);
  PolicySpec policy = load_policy("on-demand");
  policy.cache.capacity = parse_capacity("2 slots", "test");
  const SimulationResult result = test::run(model, test::tiny_machine(), policy, source);
  EXPECT_EQ(result.decode_cache.hits + result.decode_cache.misses, 2 * 3 * 10);
  EXPECT_THAT(result.notes, testing::Contains(testing::HasSubstr("bypass it")));
}

TEST(Cache, GlobalLruBelowOneTokensCycleIsWarnedAbout) {
  const ModelSpec model = test::tiny_model(6, 8, 2);
  test::ListSource source = test::random_source(1, 6, 8, 2, 1, 0, 10);
  PolicySpec policy = load_policy("on-demand");
  policy.cache.scope = CacheScope::global;
  policy.cache.capacity = parse_capacity("9 slots", "test");
  const SimulationResult result = test::run(model, test::tiny_machine(), policy, source);
  EXPECT_EQ(result.decode_cache.hits, 0);
  EXPECT_THAT(result.notes, testing::Contains(testing::HasSubstr("smaller than one token's cycle of 12")));
}

}  // namespace
}  // namespace pregate::sim
