// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/schedule/analysis.hpp"
#include "tests/sim/lookahead_runs.hpp"
#include "tests/sim/served.hpp"
#include "tests/sim/timed_operations.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

const Set on_host = {{"kv_cache.memory", "host"}};
const Set on_cpu = {{"kv_cache.memory", "host"}, {"kv_cache.attention", "cpu"}};
Override parts(int n) { return {"compute.micro_batches", std::to_string(n)}; }

/// Keys and values of a token in a layer of the tiny model: 2 x 4 heads of 16 in fp32.
constexpr std::int64_t entry = 2 * 4 * 16 * 4;

/// A prompt of as many tokens a sequence, then decode steps; all experts of a token are 0 to top_k - 1.
test::ListSource served(int layers, int experts, int top_k, int sequences, int prompt, int steps) {
  test::ListSource source(test::decoder_info(layers, experts, top_k));
  const auto ids = [&](int tokens) {
    std::vector<std::uint16_t> all;
    for (int i = 0; i < layers * tokens; ++i) {
      for (int k = 0; k < top_k; ++k) all.push_back(static_cast<std::uint16_t>(k));
    }
    return all;
  };
  source.add(trace::Phase::prefill, sequences * prompt, ids(sequences * prompt), true, {}, 0, sequences);
  for (int i = 0; i < steps; ++i)
    source.add(trace::Phase::decode, sequences, ids(sequences), false, {}, 0, sequences);
  return source;
}

MachineSpec machine_with(double h2d, double d2h) {
  MachineSpec machine = test::tiny_machine();
  machine.h2d.bandwidth = {h2d};
  machine.d2h = machine.h2d;
  machine.d2h.bandwidth = {d2h};
  machine.host.memory_bandwidth = {1e15};  // so that nothing shares it
  return machine;
}

// Four query heads share keys and values of 128 B a token. Code that has no kernel by which they do reads
// them, writes them four times and reads those: 8 x 128 B more of each token at 1 GB/s. With a head each
// nothing is repeated, and the CPU attends to what is there.
TEST(KvCache, RepeatedForHeadsThatShareItItIsMovedNineTimes) {
  const auto attention = [](int kv_heads, const Set& set) {
    const std::string text =
        "description = \"tiny\"\nsource = \"test\"\nfamily = \"mixtral\"\nd_model = 64\nvocabulary = 100\n"
        "[weights]\nexperts = \"fp32\"\ndense = \"fp32\"\nkv_cache = \"fp32\"\n[decoder]\nlayers = 2\n"
        "[decoder.attention]\nheads = 4\nkv_heads = " +
        std::to_string(kv_heads) +
        "\nhead_dim = 16\n[decoder.moe]\nexperts = 4\ntop_k = 1\nffn_dim = 128\ngated = true\n";
    test::ListSource source = served(2, 4, 1, 1, 10, 1);
    MachineSpec machine = machine_with(1e9, 1e9);
    machine.gpu.rates["fp32"] = {1e15};
    machine.gpu.memory_bandwidth = {1e9};
    machine.gpu.memory_efficiency = 1;
    const SimulationResult run =
        recorded(parse_model_toml(text, "tiny"), policy(set, "on-demand"), source, machine);
    const Timed times = times_of(run, OpKind::attention, 1);
    return (times.finish[0] - times.start[0]).count;
  };
  const Set repeated = {{"kv_cache.repeated", "true"}};
  constexpr std::int64_t token = 2 * 16 * 4, ns = 1000;
  EXPECT_EQ(attention(1, repeated) - attention(1, {}), 8 * 11 * token * ns);
  EXPECT_EQ(attention(2, repeated) - attention(2, {}), 4 * 11 * 2 * token * ns);
  EXPECT_EQ(attention(4, repeated), attention(4, {}));
  EXPECT_EQ(attention(1, joined(on_cpu, repeated)), attention(1, on_cpu));
}

// 3 sequences after 10 tokens each: before a layer's attention their 30 cached tokens come over the link, in
// 10 us + 30 x 512 B / 1 GB/s; a picosecond earlier it has not begun. Its own 3 go back beside what follows.
TEST(KvCache, IsCopiedBeforeAttentionAndWhatIsNewGoesBack) {
  const ModelSpec model = test::tiny_model(2, 4, 1);
  test::ListSource source = served(2, 4, 1, 3, 10, 2);
  const SimulationResult run = recorded(model, policy(on_host, "on-demand"), source, machine_with(1e9, 2e9));
  for (const std::int64_t step : {1, 2}) {
    const std::int64_t cached = 3 * (9 + step);
    const Timed load = times_of(run, OpKind::kv_load, step), store = times_of(run, OpKind::kv_store, step),
                attention = times_of(run, OpKind::attention, step), gate = times_of(run, OpKind::gate, step),
                ids = times_of(run, OpKind::gate_readback, step),
                begin = times_of(run, OpKind::step_overhead, step);
    ASSERT_EQ(load.start.size(), 2U);
    ASSERT_EQ(store.start.size(), 2U);
    EXPECT_EQ(load.start[0], begin.finish[0]);
    EXPECT_EQ(attention.start[0], load.finish[0]);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      EXPECT_EQ(load.took(layer), Picoseconds{copy_us * us} + time_at(Bytes{cached * entry}, {1e9}));
      EXPECT_EQ(store.took(layer), Picoseconds{copy_us * us} + time_at(Bytes{3 * entry}, {2e9}));
      EXPECT_EQ(store.start[layer], ids.finish[layer]);  // behind the ids, on the same stream
      EXPECT_EQ(gate.start[layer], attention.finish[layer]);
    }
  }
  // Of the prompt nothing is cached before: it takes no time, and leaves all of its tokens.
  const Timed load = times_of(run, OpKind::kv_load, 0), store = times_of(run, OpKind::kv_store, 0);
  EXPECT_EQ(load.took(0), Picoseconds{});
  EXPECT_EQ(store.took(0), Picoseconds{copy_us * us} + time_at(Bytes{30 * entry}, {2e9}));
}

// The GPU has room for the cached tokens of two micro-batches: the third's are copied when the first has been
// attended to.
TEST(KvCache, TwoMicroBatchesOfItAreOnTheGpu) {
  const ModelSpec model = test::tiny_model(2, 4, 1);
  for (const double rate : {1e8, 1e9, 1e12}) {
    test::ListSource source = served(2, 4, 1, 6, 10, 1);
    const SimulationResult run =
        recorded(model, policy(joined(on_host, {parts(3)}), "on-demand"), source, machine_with(rate, rate));
    const Timed load = times_of(run, OpKind::kv_load, 1), attention = times_of(run, OpKind::attention, 1),
                store = times_of(run, OpKind::kv_store, 1), fetch = times_of(run, OpKind::fetch, 1);
    ASSERT_EQ(load.start.size(), 6U);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(load.took(i), Picoseconds{copy_us * us} + time_at(Bytes{2 * 10 * entry}, {rate})) << i;
      EXPECT_EQ(store.took(i), Picoseconds{copy_us * us} + time_at(Bytes{2 * entry}, {rate})) << i;
      EXPECT_GE(attention.start[i], load.finish[i]) << i;
      if (i < 2) continue;
      // Behind the copies before it, of experts too.
      const Picoseconds before = i == 3 ? std::max(load.finish[2], fetch.finish[0]) : load.finish[i - 1];
      EXPECT_EQ(load.start[i], std::max(before, attention.finish[i - 2])) << i << " at " << rate;
    }
  }
}

// From pageable memory: keys are moved, copied while values are moved, values copied. 2 x 10 us, and of
// halves a thread that moves 2 GB/s and a link of 1 GB/s take 1/2 + 1 + 1, one of half as much 2 + 2 + 1, per
// GB/s.
TEST(KvCache, FromPageableMemoryAThreadOfTheHostMovesItFirst) {
  const ModelSpec model = test::tiny_model(2, 4, 1);
  for (const double moved : {2e9, 5e8}) {
    test::ListSource source = served(2, 4, 1, 3, 10, 1);
    MachineSpec machine = machine_with(1e9, 1e9);
    machine.h2d.pageable_bandwidth = machine.d2h.pageable_bandwidth = {moved};
    const Set pageable = joined(on_host, {{"kv_cache.pinned", "false"}});
    const SimulationResult run = recorded(model, policy(pageable, "on-demand"), source, machine);
    const Timed load = times_of(run, OpKind::kv_load, 1), store = times_of(run, OpKind::kv_store, 1);
    ASSERT_EQ(load.start.size(), 2U);
    for (const auto& [copy, tokens] : {std::pair{load, 30}, {store, 3}}) {
      const Bytes half{tokens * entry / 2};
      const Picoseconds by_thread = time_at(half, {moved}), by_link = time_at(half, {1e9});
      EXPECT_EQ(copy.took(0),
                Picoseconds{copy_us * us} * 2 + by_thread + std::max(by_thread, by_link) + by_link);
    }
  }
}

// In decode steps the CPU attends: max(cached and new tokens / what it reads, FLOP / its rate) after the
// queries, the new keys and values are there; the gate waits for what comes back, over the link.
TEST(KvCache, TheCpuAttendsAtTheRateOfItsMemoryOrItsArithmetic) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  for (const bool by_memory : {true, false}) {
    test::ListSource source = served(1, 4, 1, 3, 10, 1);
    MachineSpec machine = machine_with(1e9, 2e9);
    machine.host.memory_bandwidth = {by_memory ? 4e9 : 1e15};
    machine.host.rate = {by_memory ? 1e18 : 1e9};
    machine.host.compute.bandwidth_efficiency = 0.5;
    machine.host.compute.compute_efficiency = 0.25;
    machine.host.compute.fixed = Picoseconds{7 * us};
    const SimulationResult run = recorded(model, policy(on_cpu, "on-demand"), source, machine);
    const Timed load = times_of(run, OpKind::kv_load, 1), store = times_of(run, OpKind::kv_store, 1),
                attention = times_of(run, OpKind::attention, 1), gate = times_of(run, OpKind::gate, 1),
                cpu = times_of(run, OpKind::cpu_attention, 1), handed = times_of(run, OpKind::activations, 1),
                whole = times_of(run, OpKind::combine, 1);
    EXPECT_TRUE(load.start.empty());
    ASSERT_EQ(cpu.start.size(), 1U);
    ASSERT_EQ(handed.start.size(), 2U);
    // The new token reads 11 entries: scores and weighted sum of 4 heads of 16, 2 x 2 FLOP each.
    const double flop = 3 * 11 * 4.0 * 16 * 4;
    const Picoseconds expected = by_memory
                                     ? time_at(Bytes{3 * 11 * entry}, {2e9})
                                     : time_at(Bytes{3 * 11 * entry}, {3 * 11 * entry / (flop / 0.25e9)});
    EXPECT_EQ(cpu.took(0), Picoseconds{7 * us} + expected);
    EXPECT_EQ(store.start[0], attention.finish[0]);
    EXPECT_EQ(handed.start[0], store.finish[0]);
    EXPECT_EQ(handed.took(0), Picoseconds{copy_us * us} + time_at(Bytes{3 * 64 * 4}, {2e9}));
    EXPECT_EQ(cpu.start[0], handed.finish[0]);
    EXPECT_EQ(handed.start[1], cpu.finish[0]);
    EXPECT_EQ(handed.took(1), Picoseconds{copy_us * us} + time_at(Bytes{3 * 64 * 4}, {1e9}));
    EXPECT_EQ(whole.start[0], handed.finish[1]);
    EXPECT_EQ(gate.start[0], whole.finish[0]);
    EXPECT_EQ(run.tally.exposed_cpu, gate.start[0] - attention.finish[0]);
    // The GPU projects, and no more: as long as it takes without anything cached.
    const SimulationResult on_gpu = recorded(model, policy({}, "on-demand"), source, machine);
    EXPECT_LE(attention.took(0), times_of(on_gpu, OpKind::attention, 1).took(0));
    EXPECT_GT(times_of(run, OpKind::attention, 0).took(0), Picoseconds{});  // the prompt stays the GPU's
  }
}

// While the GPU projects for a micro-batch the CPU has the one before.
TEST(KvCache, MicroBatchesPassTheCpuInTurn) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  test::ListSource source = served(1, 4, 1, 4, 10, 1);
  MachineSpec machine = machine_with(1e9, 1e9);
  machine.host.memory_bandwidth = {1e8};
  const SimulationResult run =
      recorded(model, policy(joined(on_cpu, {parts(2)}), "on-demand"), source, machine);
  const Timed attention = times_of(run, OpKind::attention, 1), cpu = times_of(run, OpKind::cpu_attention, 1),
              back = times_of(run, OpKind::activations, 1), gate = times_of(run, OpKind::gate, 1);
  ASSERT_EQ(cpu.start.size(), 2U);
  ASSERT_EQ(back.start.size(), 4U);
  EXPECT_EQ(attention.start[1], attention.finish[0]);
  EXPECT_EQ(gate.start[0], back.finish[1]);
  EXPECT_GE(cpu.start[1], cpu.finish[0]);
  EXPECT_EQ(gate.start[1], std::max(gate.finish[0], back.finish[3]));
}

// FlexGen: the host waits after a micro-batch. With copies of the next layer of 28 under way and experts of
// 2, ten micro-batches of 4 and 2 take 4 x 10 before, and 28 + 2 x 9 after the next layer's copies were
// issued: without, max(28, 60).
TEST(KvCache, AHostThatWaitsAfterEachMicroBatchAddsUpCopiesAndKernels) {
  const ModelSpec model = test::tiny_model(12, 4, 1);
  MachineSpec machine = copies_take(Picoseconds{7 * us});  // four experts
  machine.gpu.memory_bandwidth = {1e21};
  for (auto& [precision, rate] : machine.gpu.rates) rate = {1e24};
  machine.overhead.step = machine.overhead.gate = machine.overhead.gate_readback = {};
  machine.overhead.attention = Picoseconds{4 * us};
  machine.overhead.experts = Picoseconds{2 * us};
  for (const auto& [synchronized, expected] : {std::pair{"never", 60}, {"micro-batch", 40 + 28 + 18}}) {
    std::vector<std::uint16_t> ids;
    for (int layer = 0; layer < 12; ++layer) {
      for (int sequence = 0; sequence < 10; ++sequence)
        ids.push_back(static_cast<std::uint16_t>(sequence % 4));
    }
    test::ListSource source(test::decoder_info(12, 4, 1));
    source.add(trace::Phase::decode, 10, ids, true, {}, 0, 10);
    const SimulationResult run = recorded(
        model, policy({parts(10), {"compute.synchronized", synchronized}}, "prefetch-all"), source, machine);
    const Timed attention = times_of(run, OpKind::attention);
    ASSERT_EQ(attention.start.size(), 120U);
    const Picoseconds period{expected * us};
    for (std::size_t layer = 4; layer < 11; ++layer) {
      const Picoseconds took = attention.start[layer * 10] - attention.start[(layer - 1) * 10];
      EXPECT_GT(took, period - Picoseconds{1}) << synchronized << ", layer " << layer;
      EXPECT_LE(took, period) << synchronized << ", layer " << layer;
    }
  }
}

// What the host does for a micro-batch and layer is a launch of its attention.
TEST(KvCache, HostWorkIsPaidByEachMicroBatchInEachLayer) {
  const ModelSpec model = test::tiny_model(3, 4, 1);
  test::ListSource source = served(3, 4, 1, 4, 5, 2);
  MachineSpec free_launches = test::tiny_machine();
  free_launches.overhead.attention = {};
  for (const MachineSpec& machine : {test::tiny_machine(), free_launches}) {
    const auto run = [&](const Set& set) {
      return recorded(model, policy(set, "gpu-only"), source, machine);
    };
    const SimulationResult without = run({parts(4)}), with = run({parts(4), {"compute.host_work", "3 us"}});
    EXPECT_EQ(with.total - without.total, Picoseconds{3 * us} * (3 * 4 * 3));
    EXPECT_EQ(with.tally.spent[Cause::launches] - without.tally.spent[Cause::launches],
              Picoseconds{3 * us} * (3 * 4 * 3));
  }
}

// Its bytes move to the host's memory; the GPU keeps room for two micro-batches of one layer.
TEST(KvCache, TakesHostMemoryInPlaceOfTheGpus) {
  const ModelSpec model = test::tiny_model(4, 4, 1);
  test::ListSource source = served(4, 4, 1, 6, 10, 5);
  const auto memory = [&](const Set& set) {
    return test::run(model, test::tiny_machine(), policy(set, "on-demand"), source).memory;
  };
  const auto gpu = [](const MemoryUse& use) {
    return use.peak[static_cast<std::size_t>(MemoryPurpose::kv_cache)];
  };
  const MemoryUse plain = memory({}), host = memory(on_host), cut = memory(joined(on_host, {parts(3)})),
                  cpu = memory(on_cpu);
  const Bytes all{4 * 6 * 15 * entry};
  EXPECT_EQ(gpu(plain), all);
  EXPECT_EQ(plain.host_kv, Bytes{});
  EXPECT_EQ(gpu(host), Bytes{2 * 6 * 15 * entry});
  EXPECT_EQ(gpu(cut), Bytes{2 * 2 * 15 * entry});
  EXPECT_EQ(gpu(cpu), gpu(host));  // for prompts in chunks
  for (const MemoryUse& use : {host, cut, cpu}) {
    EXPECT_EQ(use.host_kv, all);
    EXPECT_EQ(use.host, plain.host + all);
  }
  MachineSpec small = test::tiny_machine();
  small.host.memory = plain.host + all - Bytes{1};
  const SimulationResult refused = test::run(model, small, policy(on_host, "on-demand"), source);
  EXPECT_TRUE(refused.out_of_memory);
  EXPECT_NE(refused.out_of_memory_reason.find("and the KV cache"), std::string::npos);
  small.host.memory = plain.host + all;
  EXPECT_FALSE(test::run(model, small, policy(on_host, "on-demand"), source).out_of_memory);
}

// Times computed at issue, those of the event queue, and the event queue run once more on the exported
// schedule: whole passes and micro-batches, chunks of prompts, copies that overtake or need the clock.
TEST(KvCache, EnginesAndTheExportedScheduleAgree) {
  const ModelSpec model = test::tiny_model(5, 16, 3);
  const Set guesses = {{"lookahead.kind", "given-recall"}, {"lookahead.recall", "0.6"}};
  const std::vector<Variant> variants = {
      {"on-demand", {}},
      {"on-demand-cache", {{"cache.capacity", "25%"}}},
      {"prefetch-all", {}},
      {"prefetch-all", {{"compute.synchronized", "micro-batch"}}},
      {"prefetch-all", {{"kv_cache.pinned", "false"}}},
      {"pre-gated-cache", {{"cache.capacity", "25%"}, {"transfer.chunk", "40 kB"}}},
      {"on-demand-cache", joined(guesses, {{"cache.capacity", "25%"}, {"prefetch.wrong", "cancel"}})},
      {"on-demand", {{"compute.experts", "per-expert"}}},
      {"gpu-only", {}}};
  for (const Variant& variant : variants) {
    for (const int cut : {1, 3}) {
      for (const double rate : {2e8, 2e9, 1e11}) {
        test::ListSource source = test::random_source(6, 5, 16, 3, 10, 6, 5);
        const auto batches = trace::compose_batches(source, 5);
        MachineSpec machine = machine_with(rate, rate / 2);
        machine.gpu.memory_bandwidth = {4e9};
        const PolicySpec with = policy(joined(joined(variant.set, on_host), {parts(cut)}), variant.of);
        SCOPED_TRACE(variant.of + ", " + std::to_string(cut) + ", " + std::to_string(rate) +
                     (variant.set.empty() ? "" : ", " + variant.set.back().path));
        const SimulationResult timed = test::run(model, machine, with, *batches, {.engine = Engine::timed});
        const SimulationResult event =
            test::run(model, machine, with, *batches, {.engine = Engine::event, .recorded_steps = 1'000'000});
        test::expect_same_run(timed, event);
        EXPECT_TRUE(is_acyclic(event.schedule));
        expect_replayed(event);
        const PolicySpec attended = policy(joined(joined(variant.set, on_cpu), {parts(cut)}), variant.of);
        const SimulationResult cpu =
            test::run(model, machine, attended, *batches, {.recorded_steps = 1'000'000});
        expect_replayed(cpu);
        const CriticalPath path = critical_path(cpu.schedule, cpu.timeline);
        EXPECT_EQ(path.cpu, cpu.path.cpu());
        EXPECT_EQ(path.transfer, cpu.path.transfer());
        if (rate != 2e9) continue;
        const Schedule parsed = parse_schedule_json(to_json(cpu.schedule, &cpu.timeline), "test");
        EXPECT_TRUE(parsed == cpu.schedule);
      }
    }
  }
}

// Requests that come and go, with idle times between.
TEST(KvCache, EnginesAgreeOnRequestsThatArriveInTime) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(8, 4, 16, 3, 9, 6, 10);
  const ServingSpec serving = test::continuous({{"max_batch", "4"}, {"arrivals_per_s", "5"}});
  const PolicySpec with = policy(joined(on_host, {{"cache.capacity", "25%"}, parts(2)}), "on-demand-cache");
  const MachineSpec machine = machine_with(1e9, 1e9);
  const SimulationResult timed =
      test::run(model, machine, with, source, {.engine = Engine::timed, .serving = serving});
  const SimulationResult event =
      test::run(model, machine, with, source, {.engine = Engine::event, .serving = serving});
  test::expect_same_run(timed, event);
  EXPECT_GT(timed.idle.count, 0);
}

// More to copy never makes a run shorter, and a link that is fast enough makes the cache free but for its
// copies' fixed times.
TEST(KvCache, NeverShortensARun) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  test::ListSource source = test::random_source(8, 4, 16, 3, 4, 20, 10);
  for (const char* of : {"on-demand", "prefetch-all", "pre-gated-cache", "gpu-only"}) {
    for (const double rate : {1e8, 1e9, 1e12}) {
      const MachineSpec machine = machine_with(rate, rate);
      EXPECT_LE(test::run(model, machine, policy({}, of), source).total,
                test::run(model, machine, policy(on_host, of), source).total)
          << of;
    }
  }
}

void expect_refused(const Set& set, const std::string& word, const std::string& of = "on-demand",
                    const ModelSpec& model = test::tiny_model(2, 4, 1)) {
  test::ListSource source = served(2, 4, 1, 3, 4, 2);
  try {
    test::run(model, test::tiny_machine(), policy(set, of), source);
    ADD_FAILURE() << "not refused: " << word;
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
  }
}

TEST(KvCache, RefusesWhatDoesNotGoTogether) {
  expect_refused({{"kv_cache.attention", "cpu"}}, "kv_cache.attention");
  expect_refused({{"compute.synchronized", "micro-batch"}, {"compute.experts", "per-expert"}},
                 "compute.synchronized");
  expect_refused({{"compute.synchronized", "micro-batch"}, {"transfer.queue", "demand-first"}},
                 "compute.synchronized");
  expect_refused(joined(on_host, {{"transfer.queue", "demand-first"}}), "kv_cache.memory");
  MachineSpec one_memory = test::tiny_machine();
  one_memory.gpu.host_memory_traffic = {1e9};
  test::ListSource source = served(2, 4, 1, 3, 4, 2);
  EXPECT_THROW(test::run(test::tiny_model(2, 4, 1), one_memory, policy(on_host), source), InputError);
  for (const char* name : {"qwen3-next-80b-a3b", "switch-base-8", "deepseek-v3.2"}) {
    EXPECT_THROW(CostModel(load_model(name), test::tiny_machine(), policy(on_host)), InputError) << name;
  }
  EXPECT_NO_THROW(CostModel(load_model("deepseek-v3"), test::tiny_machine(), policy(on_host)));
}

}  // namespace
}  // namespace pregate::sim
