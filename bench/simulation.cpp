// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Speed of timed simulation and of cache-only replay, in routed accesses a second on one core.
// The trace is the gpt-oss-20b recording where the recorded data is present, else a generated one of its
// shape; it is held in memory and repeated to at least 10 M routed accesses.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/retime/many_machines.hpp"
#include "sim/run/replay.hpp"
#include "sim/simulate.hpp"
#include "tests/support/shared_data.hpp"
#include "traces/import.hpp"
#include "traces/reader.hpp"
#include "traces/synthetic.hpp"

namespace {

using namespace pregate;

constexpr std::int64_t least_accesses = 10'000'000;

struct Repeated {
  std::unique_ptr<trace::StepSource> memory, source;
  std::string label;
};

std::unique_ptr<trace::StepSource> load_recording(
    const char* of = "traces/gpt-oss-20b/derived-compact-sequences.csv.gz") {
  namespace fs = std::filesystem;
  const fs::path recording = test::shared_data() / of;
  if (!fs::exists(recording)) return nullptr;
  const fs::path database = fs::temp_directory_path() / ("pregate-bench-" + std::to_string(getpid()) + ".db");
  trace::import_trace({recording.string()}, database.string(), {.overwrite = true});
  const auto file = trace::open_trace(database.string());
  auto memory = trace::load_into_memory(*file);
  fs::remove(database);
  return memory;
}

/// 24 layers of 32 experts, top-4, with the recording's lag-1 overlap.
std::unique_ptr<trace::StepSource> generate_alike() {
  trace::GeneratorProfile profile = trace::load_profile("mixtral-8x7b");
  profile.name = "gpt-oss-20b alike";
  profile.prefill_tokens = 0;
  profile.decode_steps = 330;
  const trace::LayerProfileParameters like = profile.layers.front();
  profile.layers.clear();
  for (int layer = 0; layer < 24; ++layer) {
    trace::LayerProfileParameters parameters = like;
    parameters.layer = {0, layer, 32, 4, {}};
    profile.layers.push_back(parameters);
  }
  const auto generated = trace::generate(profile, 90, 1);
  return trace::load_into_memory(*generated);
}

Repeated& repeated_trace() {
  static Repeated made = [] {
    Repeated r;
    r.memory = load_recording();
    r.label = r.memory ? "gpt-oss-20b recording" : "generated (recorded data absent)";
    if (!r.memory) r.memory = generate_alike();
    const std::int64_t once = r.memory->info().routed_entries;
    r.source = trace::repeat(*r.memory, static_cast<int>((least_accesses + once - 1) / once));
    return r;
  }();
  return made;
}

void report(benchmark::State& state, std::int64_t accesses) {
  state.SetLabel(repeated_trace().label);
  state.counters["routed_accesses_per_s"] = benchmark::Counter(
      static_cast<double>(accesses) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["routed_accesses"] = static_cast<double>(accesses);
}

void simulate(benchmark::State& state, const PolicySpec& policy) {
  trace::StepSource& source = *repeated_trace().source;
  const ModelSpec model = load_model("gpt-oss-20b");
  const MachineSpec machine = load_machine("rtx4090-pcie4");
  const sim::PreparedTrace prepared(source, model, "benchmark");
  for (auto _ : state) {
    const sim::SimulationResult result = sim::simulate(model, machine, policy, prepared, source);
    benchmark::DoNotOptimize(result.total);
  }
  report(state, prepared.scan().routed);
}

void timed_simulation(benchmark::State& state, const char* policy_name) {
  simulate(state, load_policy(policy_name));
}

void given_recall_demand_first(benchmark::State& state) {
  PolicySpec policy = load_policy("on-demand-cache");
  choose(policy.lookahead.predictor, sim::built_in_parts().predictors, "given-recall");
  policy.lookahead.predictor.set("recall", "0.9");
  choose(policy.transfer.queue, sim::built_in_parts().transfers, "demand-first");
  simulate(state, policy);
}

/// OLMoE-1B-7B, 64 experts, 8 a token: 64 pairs of experts a layer. On its recording, repeated.
void predicting_by_table(benchmark::State& state, const char* order) {
  static const auto memory = load_recording("traces/olmoe-1b-7b/trace_olmoe_299.jsonl");
  if (!memory) return state.SkipWithError("the recorded data is absent");
  constexpr std::int64_t accesses = 2'000'000;
  const std::int64_t once = memory->info().routed_entries;
  const auto source = trace::repeat(*memory, static_cast<int>((accesses + once - 1) / once));
  const ModelSpec model = load_model("olmoe-1b-7b");
  const MachineSpec machine = load_machine("rtx3090-pcie4");
  PolicySpec policy = load_policy("on-demand-cache");
  choose(policy.lookahead.predictor, sim::built_in_parts().predictors, "table");
  policy.lookahead.predictor.set("order", order);
  const sim::PreparedTrace prepared(*source, model, "benchmark");
  for (auto _ : state)
    benchmark::DoNotOptimize(sim::simulate(model, machine, policy, prepared, *source).total);
  const double routed = static_cast<double>(prepared.scan().routed);
  state.SetLabel("OLMoE-1B-7B recording");
  state.counters["routed_accesses_per_s"] =
      benchmark::Counter(routed * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void cpu_experts_beside_copies(benchmark::State& state) {
  PolicySpec policy = load_policy("on-demand-cache");
  choose(policy.miss.service, sim::built_in_parts().miss_services, "compute-on-cpu");
  policy.miss.admission = MissAdmission::background;
  simulate(state, policy);
}

void replay(benchmark::State& state, const char* eviction, const char* capacity, CacheScope scope) {
  trace::StepSource& source = *repeated_trace().source;
  PolicySpec policy;
  policy.cache.capacity = parse_capacity(capacity, "benchmark");
  policy.cache.scope = scope;
  policy.cache.eviction = eviction;
  std::int64_t routed = 0;
  for (auto _ : state) {
    const sim::ReplayResult result = sim::replay(source, policy);
    routed = result.routed;
    benchmark::DoNotOptimize(result.hits);
  }
  report(state, routed);
}

void cache_replay(benchmark::State& state, const char* eviction) {
  replay(state, eviction, "25%", CacheScope::layer);
}

void global_replay(benchmark::State& state, const char* eviction) {
  replay(state, eviction, "192 slots", CacheScope::global);
}

void preparation(benchmark::State& state) {
  trace::StepSource& source = *repeated_trace().source;
  const ModelSpec model = load_model("gpt-oss-20b");
  std::int64_t routed = 0;
  for (auto _ : state) {
    const sim::PreparedTrace prepared(source, model, "benchmark");
    routed = prepared.scan().routed;
  }
  report(state, routed);
}

/// A simulation of the recording as it is, once: what re-timing replaces.
void one_simulation(benchmark::State& state, const char* policy_name) {
  trace::StepSource& source = *repeated_trace().memory;
  const ModelSpec model = load_model("gpt-oss-20b");
  const MachineSpec machine = load_machine("rtx4090-pcie4");
  const PolicySpec policy = load_policy(policy_name);
  const sim::PreparedTrace prepared(source, model, "benchmark");
  for (auto _ : state)
    benchmark::DoNotOptimize(sim::simulate(model, machine, policy, prepared, source).total);
  state.SetLabel(repeated_trace().label);
}

enum class Varied { link, gpu };

/// Machines timed from the decisions on one of them, 64 at a time.
void retiming(benchmark::State& state, const char* policy_name, Varied varied) {
  trace::StepSource& source = *repeated_trace().memory;
  const ModelSpec model = load_model("gpt-oss-20b");
  const PolicySpec policy = load_policy(policy_name);
  const sim::PreparedTrace prepared(source, model, "benchmark");
  std::vector<MachineSpec> machines(64, load_machine("rtx4090-pcie4"));
  for (std::size_t i = 0; i < machines.size(); ++i) {
    const double factor = 0.5 + static_cast<double>(i) / 32;
    (varied == Varied::link ? machines[i].h2d.bandwidth.value : machines[i].gpu.memory_bandwidth.value) *=
        factor;
  }
  sim::ManyMachines many(model, policy, prepared, source, {});
  many.run(std::span(machines).first(2));  // finds the decisions
  std::int64_t timed = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(many.run(machines).back().total);
    timed += static_cast<std::int64_t>(machines.size());
  }
  state.SetLabel(repeated_trace().label);
  state.counters["machines_per_s"] =
      benchmark::Counter(static_cast<double>(timed), benchmark::Counter::kIsRate);
  state.counters["retimed"] = static_cast<double>(many.retimed() - timed);
}

/// A machine with LRU caches of 20 capacities, nothing known before: to be held against one_simulation.
void twenty_capacities(benchmark::State& state, const char* policy_name) {
  trace::StepSource& source = *repeated_trace().memory;
  const ModelSpec model = load_model("gpt-oss-20b");
  const std::vector<MachineSpec> machines{load_machine("rtx4090-pcie4")};
  const sim::PreparedTrace prepared(source, model, "benchmark");
  std::vector<PolicySpec> policies(20, load_policy(policy_name));
  for (std::size_t i = 0; i < policies.size(); ++i)
    policies[i].cache.capacity = parse_capacity(std::to_string(i + 4) + " slots", "benchmark");
  for (auto _ : state) {
    sim::ManyMachines many(model, policies, prepared, source, {});
    for (std::size_t i = 0; i < policies.size(); ++i)
      benchmark::DoNotOptimize(many.run(i, machines).back().total);
  }
  state.SetLabel(repeated_trace().label);
}

BENCHMARK_CAPTURE(twenty_capacities, on_demand_lru, "on-demand-cache")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(twenty_capacities, pre_gated_lru, "pre-gated-cache")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(twenty_capacities, prefetch_all_lru, "prefetch-all-cache")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(one_simulation, prefetch_all_lru_25_percent, "prefetch-all-cache")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(retiming, prefetch_all_lru_25_percent_links, "prefetch-all-cache", Varied::link)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(one_simulation, on_demand_lru_25_percent, "on-demand-cache")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(one_simulation, pre_gated_lru_25_percent, "pre-gated-cache")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(retiming, on_demand_lru_25_percent_links, "on-demand-cache", Varied::link)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(retiming, pre_gated_lru_25_percent_links, "pre-gated-cache", Varied::link)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(retiming, on_demand_lru_25_percent_gpus, "on-demand-cache", Varied::gpu)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(retiming, pre_gated_lru_25_percent_gpus, "pre-gated-cache", Varied::gpu)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(timed_simulation, on_demand_lru_25_percent, "on-demand-cache")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(timed_simulation, on_demand, "on-demand")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(timed_simulation, pre_gated_lru_25_percent, "pre-gated-cache")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(timed_simulation, pre_gated, "pre-gated")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(timed_simulation, prefetch_all, "prefetch-all")->Unit(benchmark::kMillisecond);
BENCHMARK(given_recall_demand_first)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(predicting_by_table, order_1, "1")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(predicting_by_table, order_2, "2")->Unit(benchmark::kMillisecond);
BENCHMARK(cpu_experts_beside_copies)->Unit(benchmark::kMillisecond);
BENCHMARK(preparation)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, lru, "lru")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, belady, "belady")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, lfu, "lfu")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, s3_fifo, "s3-fifo")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, lfru, "lfru")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, lfu_decay, "lfu-decay")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, hobbit, "hobbit")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, activation_matrix, "activation-matrix")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(cache_replay, periodic_rank, "periodic-rank")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(global_replay, lru, "lru")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(global_replay, belady, "belady")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(global_replay, lfu, "lfu")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(global_replay, s3_fifo, "s3-fifo")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(global_replay, lfru, "lfru")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(global_replay, freq_distance, "freq-distance")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(global_replay, window_oracle, "window-oracle")->Unit(benchmark::kMillisecond);

}  // namespace
