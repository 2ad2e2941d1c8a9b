// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The runtime on the host device: how close a pre-gated run comes to the larger of its computing and its
// copying, and what the host spends to issue an operation.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include "models/catalog.hpp"
#include "runtime/execute.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/support/one_gpu.hpp"
#include "validation/calibration/calibrate.hpp"
#include "validation/calibration/effective_times.hpp"
#include "validation/calibration/pass_list.hpp"

namespace {

using namespace pregate;

/// Top-1 experts of 2 x 1024 x inner x 4 bytes; attention reads 4 x 1024 x 64 x heads x 4 bytes.
ModelSpec model_with(int inner, int layers, int heads) {
  return parse_model_toml(
      "description = \"benchmark\"\nsource = \"benchmark\"\nfamily = \"switch\"\nd_model = 1024\nvocabulary "
      "= 1000\n"
      "[weights]\nexperts = \"fp32\"\ndense = \"fp32\"\nkv_cache = \"fp32\"\n[decoder]\nlayers = " +
          std::to_string(layers) + "\n[decoder.attention]\nheads = " + std::to_string(heads) +
          "\nkv_heads = " + std::to_string(heads) +
          "\nhead_dim = 64\n[decoder.moe]\nexperts = 8\ntop_k = 1\n"
          "ffn_dim = " +
          std::to_string(inner) + "\ngated = false\n",
      "benchmark");
}

sim::SimulationResult run(runtime::Device& device, const ModelSpec& model, int tokens, int passes,
                          double* issue_us = nullptr) {
  validation::PassList source(
      model, std::vector<validation::Pass>(static_cast<std::size_t>(passes), {0, tokens, 1}));
  const sim::PreparedTrace prepared(source, model, "benchmark");
  runtime::ExecuteOptions options;
  options.experts.distinct_experts = 32;
  const runtime::Execution execution =
      runtime::execute(device, model, load_policy("pre-gated"), prepared, source, options);
  if (issue_us != nullptr)
    *issue_us = execution.issue_time.seconds() * 1e6 / static_cast<double>(execution.result.tally.operations);
  return execution.result;
}

double busy(const sim::SimulationResult& result, sim::StreamId stream) {
  return result.tally.busy[static_cast<std::size_t>(stream)].seconds();
}

/// Experts of 64 MiB, and 2 GiB of them: nothing stays in a last-level cache. One token a pass; how wide
/// attention is decides how long computing takes, and first runs look for the width at which it takes as long
/// as copying. Of 24 layers only the first one's copy is exposed.
void pre_gated_overlap(benchmark::State& state) {
  const auto device = runtime::open_device("host", {.memory = {std::int64_t{5} << 30}});
  constexpr int inner = 8192, layers = 24;
  const auto balance_of = [](const sim::SimulationResult& result) {
    return busy(result, sim::one_gpu::compute) / busy(result, sim::one_gpu::h2d);
  };
  int least = 1, most = 128;  // heads
  while (most - least > 4) {
    const int heads = (least + most) / 2;
    (balance_of(run(*device, model_with(inner, layers, heads), 1, 4)) < 1 ? least : most) = heads;
  }
  const ModelSpec model = model_with(inner, layers, least);
  std::vector<double> ratios, balances;
  for (auto _ : state) {
    const sim::SimulationResult result = run(*device, model, 1, 4);
    const double compute = busy(result, sim::one_gpu::compute), copy = busy(result, sim::one_gpu::h2d);
    ratios.push_back(result.total.seconds() / std::max(compute, copy));
    balances.push_back(balance_of(result));
    state.SetIterationTime(result.total.seconds());
  }
  state.counters["time_over_larger_part"] = validation::median(ratios);
  state.counters["compute_over_copy"] = validation::median(balances);
  state.counters["heads"] = least;
}

/// Tiny operations, so that nothing hides the host's own work.
void issue_overhead(benchmark::State& state) {
  const auto device = runtime::open_device("host", {.memory = {std::int64_t{256} << 20}});
  const ModelSpec model = model_with(64, 24, 4);
  double issue_us = 0;
  for (auto _ : state) {
    const sim::SimulationResult result = run(*device, model, 1, 100, &issue_us);
    state.SetIterationTime(result.total.seconds());
  }
  state.counters["issue_us_per_operation"] = issue_us;
}

BENCHMARK(pre_gated_overlap)->UseManualTime()->Iterations(7)->Unit(benchmark::kMillisecond);
BENCHMARK(issue_overhead)->UseManualTime()->Iterations(5)->Unit(benchmark::kMillisecond);

}  // namespace
