// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Runs priced by the kernels of a library: which kernels of which shapes a layer is, and which GPU's
// constants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/cost/kernel_evidence.hpp"
#include "sim/cost/price.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/simulate.hpp"
#include "tests/sim/driven_by_vllm.hpp"
#include "traces/locality.hpp"

namespace pregate::sim {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using test::driven_by_vllm;

Picoseconds rounded(double seconds) { return from_seconds(seconds); }

// gpt-oss-120b, 8 sequences after 1000 tokens each. d_model 2880, 64 query and 8 key heads of 64: the input
// projection is 2880 x (64 + 2 x 8) x 64 = 5120 columns, the output 4096 x 2880. Layer 0 has a window of 128,
// layer 1 none. Four kernels that nobody measured at 2.45 us in a graph.
TEST(KernelPrices, ALayerIsItsKernels) {
  const MachineSpec machine = driven_by_vllm("h100-sxm-pcie5");
  const ModelSpec model = load_model("gpt-oss-120b");
  const GpuKernelTimes gpu = kernel_times_of(machine);
  EXPECT_EQ(gpu.source(), KernelSource::measured);
  CostModel costs(model, machine, load_policy("gpu-only"));
  costs.begin_step({.tokens = 8, .sequences = 8, .position = 999});
  const double products = gpu.gemm({8, 5120, 2880}, "bf16") + gpu.gemm({8, 2880, 4096}, "bf16");
  const double launches = 4 * 2.45e-6;
  for (const int layer : {0, 1}) {
    const double scores = gpu.attention_decode({.batch = 8,
                                                .queries = 1,
                                                .context = 1000,
                                                .heads = 64,
                                                .kv_heads = 8,
                                                .head_dim = 64,
                                                .window = layer == 0 ? 128 : 0},
                                               "bf16");
    const LayerCost& cost = costs.layer(costs.layer_class(0, layer));
    // Weights are read with what is stored beside the matrices: biases, sinks and a norm, 0.03 %.
    EXPECT_NEAR(cost.attention.seconds(), products + scores + launches, 1e-3 * products);
    EXPECT_NEAR(cost.gate.seconds(), gpu.gemm({8, 128, 2880}, "bf16") + 2.45e-6, 1e-9);
    EXPECT_EQ(cost.shared.count, 0) << "it has no shared experts";
  }
  EXPECT_NEAR(costs.head().seconds(), gpu.gemm({8, 201088, 2880}, "bf16"), 1e-8);
  // 8 x 4 choices over 20 experts, MXFP4 with the biases in bf16: 2 of 4.25 x 2880 bits.
  std::vector<std::uint32_t> tokens(20, 1);
  tokens[0] = 13;
  const double experts = gpu.fused_moe({expert_load(tokens, {8, 4, 128}), 2880, 2880, true}, "mxfp4");
  EXPECT_NEAR(costs.experts(costs.layer_class(0, 0), tokens, 32, 8, true).seconds(), experts, 5e-3 * experts);
}

// Of experts of MXFP4 vLLM runs GPT-OSS's by triton_kernels on an H100 and all others, and all on an L40S, by
// Marlin, which is several times as slow over many tokens.
TEST(KernelPrices, ExpertsOfTheSameFormatRunTheKernelOfTheirModel) {
  ModelSpec model = load_model("gpt-oss-120b");
  const auto dtype_on = [&](const char* machine) {
    const GpuKernelTimes gpu = kernel_times_of(driven_by_vllm(machine));
    return layer_kernels(model, model.stacks[0], model.profile(model.stacks[0])[1], gpu).experts->dtype;
  };
  EXPECT_EQ(dtype_on("h100-sxm-pcie5"), "mxfp4");
  EXPECT_EQ(dtype_on("l40s-pcie4"), "mxfp4_marlin");
  EXPECT_EQ(dtype_on("a100-80g-pcie4"), "bf16") << "without constants of the format";
  model.family = "mixtral";
  EXPECT_EQ(dtype_on("h100-sxm-pcie5"), "mxfp4_marlin");
}

// Products of scaled blocks run FlashInfer's kernel up to 31 tokens on an H100 and DeepGEMM's from there on;
// an L40S has one for all.
TEST(KernelPrices, FewTokensHaveAKernelOfTheirOwn) {
  const ModelSpec model = load_model("minimax-m2.5");
  const auto kernel = [&](const char* machine, std::int64_t tokens) {
    const GpuKernelTimes gpu = kernel_times_of(driven_by_vllm(machine));
    const LayerKernels layer = layer_kernels(model, model.stacks[0], model.profile(model.stacks[0])[0], gpu);
    return layer.projections.front().kernel_for(tokens).dtype;
  };
  EXPECT_EQ(kernel("h100-sxm-pcie5", 31), "fp8_block_few");
  EXPECT_EQ(kernel("h100-sxm-pcie5", 32), "fp8_block");
  EXPECT_EQ(kernel("l40s-pcie4", 31), "fp8_block");
  const std::string note = kernel_note(*kernel_evidence(model, driven_by_vllm("h100-sxm-pcie5")));
  EXPECT_THAT(note, AllOf(HasSubstr("(as fp8_block) 5 %"), HasSubstr("(as fp8_block_few) 2 %")));
}

// The benchmarks of block-scaled products were launched from Python (61 us for the smallest on an H100): a
// pass that is replayed does not pay that, one that is launched does, and other formats do not change.
TEST(KernelPrices, AReplayedPassDoesNotPayTheLaunchesOfABenchmark) {
  const MachineSpec machine = driven_by_vllm("h100-sxm-pcie5");
  const ModelSpec model = load_model("minimax-m2.5");
  const GpuKernelTimes gpu = kernel_times_of(machine);
  const KernelFit* few = gpu.find(KernelFamily::gemm, "fp8_block_few");
  const double bf16_floor = gpu.find(KernelFamily::gemm, "bf16")->constants.floor_s;
  ASSERT_GT(few->constants.floor_s, 40e-6);
  const LayerKernels layer = layer_kernels(model, model.stacks[0], model.profile(model.stacks[0])[0], gpu);
  ASSERT_EQ(layer.projections.front().kernel.dtype, "fp8_block");
  const KernelPrices launched(gpu, {}), replayed(gpu, {}, KernelPrices::Pass::replayed);
  const auto count = static_cast<double>(layer.projections.size());
  EXPECT_GE(launched.products(layer.projections, 8).seconds(), count * few->constants.floor_s);
  KernelConstants work = few->constants;
  work.floor_s = 2 * bf16_floor;
  double alone = 0;
  for (const Product& product : layer.projections)
    alone += gemm_time({8, product.n, product.k}, gpu.peaks(), product.kernel_for(8).format, work);
  EXPECT_NEAR(replayed.products(layer.projections, 8).seconds(), alone, 1e-11);
  const ModelSpec other = load_model("gpt-oss-120b");
  const LayerKernels wide = layer_kernels(other, other.stacks[0], other.profile(other.stacks[0])[0], gpu);
  ASSERT_EQ(wide.projections.front().kernel.dtype, "bf16");
  EXPECT_EQ(launched.products(wide.projections, 8).count, replayed.products(wide.projections, 8).count);
}

// Latent attention was measured launched one by one (164 us at least on an H100): a replayed pass has its
// work and two starts of other attention.
TEST(KernelPrices, AReplayedPassDoesNotPayTheLaunchesOfLatentAttention) {
  const ModelSpec model = load_model("deepseek-v3");
  const GpuKernelTimes gpu = kernel_times_of(driven_by_vllm("h100-sxm-pcie5"));
  const LayerKernels layer = layer_kernels(model, model.stacks[0], model.profile(model.stacks[0])[0], gpu);
  ASSERT_EQ(layer.scores, LayerKernels::Scores::latent);
  const KernelPrices launched(gpu, {}), replayed(gpu, {}, KernelPrices::Pass::replayed);
  const std::vector<AlikeSequences> one{{.tokens = 1, .sequences = 1, .position = 99}};
  KernelConstants work = layer.decode->constants;
  EXPECT_GE(launched.scores(layer, one).seconds(), work.floor_s);
  work.floor_s = 0;
  const double start = 2 * gpu.find(KernelFamily::attention_decode, "bf16")->constants.floor_s;
  EXPECT_NEAR(replayed.scores(layer, one).seconds(),
              start + mla_decode_time({1, 100, layer.mixer.heads}, gpu.peaks(), layer.decode->format, work),
              1e-11);
}

// Where the host takes part in every layer nothing is replayed. Attention has three measured kernels and four
// others: 3 x (10 - 2.45) + 4 x (10 - 2.45) us more.
TEST(KernelPrices, LaunchedOneByOneEveryKernelCostsMore) {
  const MachineSpec machine = driven_by_vllm("h100-sxm-pcie5");
  const ModelSpec model = load_model("gpt-oss-120b");
  const StepShape shape{.tokens = 8, .sequences = 8, .position = 999};
  CostModel replayed(model, machine, load_policy("gpu-only")),
      eager(model, machine, load_policy("on-demand"));
  replayed.begin_step(shape);
  eager.begin_step(shape);
  EXPECT_NEAR((eager.layer(0).attention - replayed.layer(0).attention).seconds(), 7 * 7.55e-6, 1e-10);
  EXPECT_EQ(replayed.layer(0).attention.launches, rounded(4 * 2.45e-6));
}

// Two layers alike but for attention in fp8 and in int8, which has no kernel there and runs as bf16's: as
// many bytes, and not the same time.
TEST(KernelPrices, LayersOfOneSizeAndTwoFormatsAreTwo) {
  ModelSpec model = load_model("qwen3-30b-a3b");
  model.formats.assign(2, model.formats_of(model.stacks[0].layers[0]));
  model.formats[0].attention = weight_format("fp8", "test");
  model.formats[1].attention = weight_format("int8", "test");
  model.stacks[0].layers[0].formats = 0;
  model.stacks[0].layers[1].formats = 1;
  CostModel costs(model, driven_by_vllm("h100-sxm-pcie5"), load_policy("gpu-only"));
  costs.begin_step({.tokens = 512, .sequences = 1, .position = 0});
  const LayerCost &fp8 = costs.layer(costs.layer_class(0, 0)), &int8 = costs.layer(costs.layer_class(0, 1));
  EXPECT_NE(fp8.attention.count, int8.attention.count);
}

TEST(KernelPrices, WhoseConstantsTheyAre) {
  EXPECT_EQ(kernel_times_of(driven_by_vllm("l40s-pcie4")).source(), KernelSource::measured);
  EXPECT_EQ(kernel_times_of(driven_by_vllm("a100-80g-pcie4")).source(), KernelSource::measured);
  const std::map<std::string, std::string> kin = {{"h200-sxm-pcie5", "h100-sxm"},
                                                  {"rtx4090-pcie4", "l40s"},
                                                  {"rtx3090-pcie4", "a100-sxm"},
                                                  {"a100-40g-pcie4", "a100-sxm"},
                                                  {"rtx5090-pcie5", "rtxpro6000-server"}};
  for (const auto& [machine, measured] : kin) {
    const GpuKernelTimes times = kernel_times_of(driven_by_vllm(machine));
    EXPECT_EQ(times.source(), KernelSource::by_kin) << machine;
    EXPECT_EQ(times.measured_on(), measured) << machine;
  }
  // A changed peak is another GPU.
  for (const Override& change : {Override{"machine.gpu.memory_bandwidth", "4000 GB/s"},
                                 Override{"machine.gpu.rates.fp8", "1000 TFLOP/s"}}) {
    const GpuKernelTimes other = kernel_times_of(driven_by_vllm("h100-sxm-pcie5", std::vector{change}));
    EXPECT_EQ(other.source(), KernelSource::by_kin) << change.path;
  }
  for (const char* old : {"t4-pcie3", "v100-16g-pcie3", "rtx2080-pcie3"}) {
    try {
      const CostModel costs(load_model("olmoe-1b-7b"), driven_by_vllm(old), {});
      ADD_FAILURE() << old << " has no kin";
    } catch (const InputError& error) {
      EXPECT_THAT(std::string(error.what()), AllOf(HasSubstr("architecture"), HasSubstr("hint"))) << old;
    }
  }
}

// No multiply-add of a layer is forgotten or counted twice, whatever the family.
TEST(KernelPrices, ProductsAreThoseOfTheModel) {
  const GpuKernelTimes gpu = kernel_times_of(driven_by_vllm("h100-sxm-pcie5"));
  const auto flop = [](const std::vector<Product>& products) {
    double sum = 0;
    for (const Product& each : products)
      sum += 2.0 * static_cast<double>(each.n) * static_cast<double>(each.k);
    return sum;
  };
  for (const std::string& name : model_names()) {
    const ModelSpec model = load_model(name);
    for (const Stack& stack : model.stacks) {
      for (const LayerProfile& profile : model.profile(stack)) {
        const LayerKernels layer = layer_kernels(model, stack, profile, gpu);
        const double mixer = profile.attention_flop_per_token;
        EXPECT_NEAR(flop(layer.projections), mixer, 2.0 * model.d_model) << name << " " << profile.layer;
        // A gate of one column beside shared experts is part of no product here.
        EXPECT_NEAR(flop(layer.router) + flop(layer.feed_forward), profile.ffn_flop_per_token,
                    2.0 * model.d_model)
            << name << " " << profile.layer;
      }
    }
  }
}

TEST(KernelPrices, TheResultSaysWhereTheyComeFrom) {
  EXPECT_FALSE(kernel_evidence(load_model("gpt-oss-120b"), load_machine("h100-sxm-pcie5")));
  const auto note = [](const char* model, const char* machine) {
    return kernel_note(*kernel_evidence(load_model(model), driven_by_vllm(machine)));
  };
  EXPECT_THAT(note("gpt-oss-120b", "h100-sxm-pcie5"),
              AllOf(HasSubstr("measured on this GPU (h100-sxm)"), HasSubstr("fused_moe mxfp4 6 %")));
  EXPECT_THAT(note("gpt-oss-120b", "h200-sxm-pcie5"),
              AllOf(HasSubstr("by kin"), HasSubstr("fused_moe mxfp4 unknown"), HasSubstr("gemm bf16 16 %")));
  EXPECT_THAT(note("gpt-oss-120b", "l40s-pcie4"), HasSubstr("fused_moe mxfp4 (as mxfp4_marlin) 4 %"));
  EXPECT_THAT(note("nemotron-3-nano-30b-a3b", "h100-sxm-pcie5"), HasSubstr("by rooflines"));
  const ModelSpec quantised = load_model("qwen3-30b-a3b", {.weights = "q4_k_m", .dense_weights = ""});
  EXPECT_THAT(kernel_note(*kernel_evidence(quantised, driven_by_vllm("rtx4090-pcie4"))),
              HasSubstr("fused_moe q4_k_m (as bf16)"));
}

double decode_rate(const ModelSpec& model, const std::string& machine, const std::string& software) {
  const auto source = trace::generate(trace::shaped_profile(model, trace::load_locality("typical"),
                                                            {.prompt_tokens = 16, .output_tokens = 32}),
                                      1, 1);
  const PreparedTrace prepared(*source, model, "generated");
  return simulate(model, load_machine(machine, {}, {}, software), load_policy("gpu-only"), prepared, *source)
      .decode_tokens_per_second();
}

// Four GPUs that hold a model whole, of 936, 1008, 1792 and 4800 GB/s. What llama.cpp does is bytes over
// these and a number of cycles a kernel, which is higher on HBM: clocks of 1.695, 2.52, 2.407 and 1.98 GHz.
// Measured of Qwen3-30B-A3B, Q4_K_M: 261.5 tokens/s on an RTX 4090
// (sylvanus4/ktransformers-moe-offload-bench) and 352.06 on an RTX 5090 (ggml-org/llama.cpp discussion
// 17621). vLLM's kernels are all by kin there, the RTX 3090's by those of an A100, whose fused MoE takes 60
// us at least and 16 to 37 us elsewhere: only the order is held.
TEST(FourGpus, DifferAsTheirClocksBandwidthsAndMeasuredRatesSay) {
  const std::vector<const char*> gpus = {"rtx3090-pcie4", "rtx4090-pcie4", "rtx5090-pcie5", "h200-sxm-pcie5"};
  const ModelSpec qwen = load_model("qwen3-30b-a3b", {.weights = "q4_k_m", .dense_weights = "q4_k_m"});
  const ModelSpec olmoe = load_model("olmoe-1b-7b");
  std::vector<double> by_llama, by_vllm;
  for (const char* machine : gpus) {
    by_llama.push_back(decode_rate(qwen, machine, "llama-cpp"));
    by_vllm.push_back(decode_rate(olmoe, machine, "vllm"));
  }
  for (std::size_t i = 1; i < gpus.size(); ++i) EXPECT_GT(by_vllm[i], by_vllm[i - 1]) << gpus[i];
  EXPECT_NEAR(by_llama[1], 261.5, 0.1 * 261.5);
  EXPECT_NEAR(by_llama[2], 352.06, 0.1 * 352.06);
  EXPECT_LT(by_llama[1] / by_llama[0], 2.52 / 1.695) << "further apart than their clocks no two can be";
}

}  // namespace
}  // namespace pregate::sim
