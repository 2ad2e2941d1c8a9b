// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Speed of simulations of several GPUs that serve requests by continuous batching, in routed accesses a
// second on one core. The trace is generated, and held in memory.
#include <benchmark/benchmark.h>

#include <memory>

#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/simulate.hpp"
#include "traces/reader.hpp"
#include "traces/synthetic.hpp"

namespace {

using namespace pregate;

/// Tokens of each request.
struct Lengths {
  int prompt = 128, output = 48;
};

/// Requests of the model's MoE layers.
std::unique_ptr<trace::StepSource> requests_of(const ModelSpec& model, int requests, Lengths lengths) {
  trace::GeneratorProfile profile = trace::load_profile("mixtral-8x7b");
  profile.name = model.name + " alike";
  profile.prefill_tokens = lengths.prompt;
  profile.decode_steps = lengths.output;
  const trace::LayerProfileParameters like = profile.layers.front();
  profile.layers.clear();
  const Stack& stack = model.stacks.front();
  for (int layer = 0; layer < static_cast<int>(stack.layers.size()); ++layer) {
    if (!stack.is_moe(layer)) continue;
    const MoeBlock& moe = stack.feed_forward_of(layer).moe;
    trace::LayerProfileParameters parameters = like;
    parameters.layer = {0, layer, moe.experts, moe.top_k, {}};
    profile.layers.push_back(parameters);
  }
  const auto generated = trace::generate(profile, requests, 1);
  return trace::load_into_memory(*generated);
}

void serve(benchmark::State& state, const char* model_name, const char* policy_name,
           const sim::ParallelSpec& spec, int hosts, int batch, Lengths lengths = {}) {
  const ModelSpec model = load_model(model_name);
  const auto source = requests_of(model, batch + batch / 2, lengths);
  MachineSpec machine = load_machine("h100-sxm-pcie5");
  machine.gpu.count = 8;
  if (hosts > 1)
    machine.network = {.hosts = hosts, .bandwidth = {50e9}, .latency = from_seconds(5e-6), .per_copy = {}};
  sim::SimulationOptions options;
  options.parallel = spec;
  options.serving = sim::load_serving(std::vector<Override>{{"serve.batcher", "continuous"},
                                                            {"serve.max_batch", std::to_string(batch)},
                                                            {"serve.prompts", "beside"}});
  options.serving.prompt_chunk = 512;
  const PolicySpec policy = load_policy(policy_name);
  const sim::PreparedTrace prepared(*source, model, "benchmark", options.serving);
  for (auto _ : state) {
    const sim::SimulationResult result = sim::simulate(model, machine, policy, prepared, *source, options);
    if (result.out_of_memory) state.SkipWithError(result.out_of_memory_reason.c_str());
    benchmark::DoNotOptimize(result.total);
  }
  const auto routed = static_cast<double>(source->info().routed_entries);
  state.counters["routed_accesses_per_s"] =
      benchmark::Counter(routed * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["routed_accesses"] = routed;
}

sim::ParallelSpec data_parallel(int gpus) {
  return {.data = gpus, .experts = sim::ExpertShare::whole, .tokens = sim::TokenExchange::route};
}

BENCHMARK_CAPTURE(serve, gpus_8_resident, "qwen3-30b-a3b", "gpu-only", data_parallel(8), 1, 64)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(serve, gpus_8_cached, "qwen3-30b-a3b", "on-demand-cache", data_parallel(8), 1, 64)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(serve, gpus_256_cached, "deepseek-v3", "on-demand-cache", data_parallel(256), 32, 256,
                  Lengths{8, 4})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(serve, gpus_256_resident, "deepseek-v3", "gpu-only", data_parallel(256), 32, 256)
    ->Unit(benchmark::kMillisecond);

}  // namespace
