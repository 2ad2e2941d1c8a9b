// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Misses that the CPU computes; these with swaps and predictors, combined.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include <algorithm>

#include "models/error.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/report/report.hpp"
#include "tests/sim/recorded_run.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

using test::ListSource;
using test::run;
using test::tiny_machine;
using test::tiny_model;
using trace::Phase;

constexpr double cpu_bytes_per_s = 8e9;  // of cpu_machine()

/// The CPU reads weights at 8 GB/s of a bus of 10 GB/s; its arithmetic is too fast to matter.
MachineSpec cpu_machine() {
  MachineSpec machine = tiny_machine();
  machine.d2h = machine.h2d;
  machine.host.memory_bandwidth = {10e9};
  machine.host.rate = {1e18};
  machine.host.compute = {.bandwidth_efficiency = 0.8, .compute_efficiency = 1, .fixed = {}, .formats = {}};
  return machine;
}

PolicySpec cpu_policy() {
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "compute-on-cpu");
  return policy;
}

ListSource one_step(int layers, int experts, int top_k, std::vector<std::uint16_t> ids) {
  ListSource source(test::decoder_info(layers, experts, top_k));
  source.add(Phase::decode, 1, std::move(ids), true);
  return source;
}

Picoseconds activations_time() { return Picoseconds{copy_us * us} + time_at(Bytes{64 * 4}, {1e9}); }
Picoseconds cpu_time(int experts) { return time_at(test::tiny_expert * experts, {cpu_bytes_per_s}); }

// One layer, both experts on the CPU: read-back, activations there, weights read at the CPU's rate, results
// back. Nothing is fetched, and no slot is kept for it.
TEST(ComputeOnCpu, LayerIsTheSumOfItsParts) {
  const ModelSpec model = tiny_model(3, 8, 2);
  ListSource source = one_step(3, 8, 2, {0, 1, 2, 3, 4, 5});
  const Durations d = durations(model, source);
  MachineSpec machine = cpu_machine();
  machine.overhead.experts = {};  // the CPU is the slower one
  const SimulationResult result = run(model, machine, cpu_policy(), source);
  const Picoseconds chain = activations_time() * 2 + cpu_time(2);
  EXPECT_EQ(result.tally.block_latency.mean_ms(), (d.attention + d.gate + d.readback + chain).milliseconds());
  EXPECT_EQ(result.tally.fetches, 0);
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 6);
  EXPECT_EQ(result.buffer_slots + result.prefill_slots + result.cache_slots, 0);
  EXPECT_EQ(result.memory.host, model.all_expert_bytes());
  EXPECT_EQ(result.tally.busy[static_cast<std::size_t>(one_gpu::cpu)],
            (cpu_time(2) + activations_time()) * 3);
}

// fixed + experts x expert, and then max(tokens x arithmetic of a token, bytes / bandwidth): whichever is
// longer, and never their sum.
TEST(ComputeOnCpu, TheSlowerOfArithmeticAndMemoryDecides) {
  const ModelSpec model = tiny_model(1, 8, 2);
  ListSource source = one_step(1, 8, 2, {0, 1});
  const auto cpu = [&](const MachineSpec& machine) {
    return run(model, machine, cpu_policy(), source).tally.busy[static_cast<std::size_t>(one_gpu::cpu)] -
           activations_time();
  };
  MachineSpec machine = cpu_machine();
  const Picoseconds memory = cpu_time(2);
  EXPECT_EQ(cpu(machine), memory);
  machine.host.compute.fixed = Picoseconds{3 * us};
  machine.host.compute.expert = Picoseconds{500'000};
  EXPECT_EQ(cpu(machine), memory + Picoseconds{4 * us});
  machine.host.compute.fixed = machine.host.compute.expert = {};
  // Arithmetic that takes a picosecond more than the memory decides, and one less does not.
  const double flop = 2 * 2.0 * 3 * 64 * 128;
  for (const std::int64_t more : {-1000, 0, 1000}) {
    machine.host.rate = {flop / (memory + Picoseconds{more}).seconds()};
    EXPECT_NEAR(static_cast<double>(cpu(machine).count),
                static_cast<double>(memory.count + std::max<std::int64_t>(more, 0)), 2)
        << more;
  }
  // 2 tokens of 2 x 3 x 64 x 128 FLOP at 0.5 x 1 GFLOP/s: 196.608 us.
  machine.host.rate = {1e9};
  machine.host.compute.compute_efficiency = 0.5;
  EXPECT_NEAR(cpu(machine).seconds(), 2 * 2.0 * 3 * 64 * 128 / 0.5e9, 2e-12);
  machine.host.compute.formats["fp32"] = {.bandwidth = 0.8, .compute = 0.25};
  EXPECT_NEAR(cpu(machine).seconds(), 2 * 2.0 * 3 * 64 * 128 / 0.25e9, 2e-12);
  machine.host.compute.formats = {{"q4_k", {.bandwidth = 0.1, .compute = 0.1}}};  // another format's
  EXPECT_NEAR(cpu(machine).seconds(), 2 * 2.0 * 3 * 64 * 128 / 0.5e9, 2e-12);
  // Where the software says how limits join, times add up with its exponent: here as long a time of both.
  machine.host.compute.packed.whole = 1;
  machine.host.compute.join = 2;
  machine.host.rate = {flop / memory.seconds()};
  EXPECT_NEAR(cpu(machine).seconds(), memory.seconds() * std::sqrt(2), 2e-12);
  machine.host.cores = 4;
  machine.host.core_bandwidth = {cpu_bytes_per_s / 4};
  EXPECT_NEAR(cpu(machine).seconds(), memory.seconds() * std::sqrt(3), 2e-12);
}

// Two nodes with 5 GB/s each and 1 GB/s between them. Interleaved: each node reads a half of a half of the
// bytes over one way, 4 GB/s in all. At one node: its 5 GB/s. Copies: all 10 GB/s.
TEST(ComputeOnCpu, ReadsByWhereExpertsLieOnTheNodes) {
  const ModelSpec model = tiny_model(1, 8, 2);
  ListSource source = one_step(1, 8, 2, {0, 1});
  MachineSpec machine = cpu_machine();
  machine.host.numa = {.nodes = 2, .bandwidth = {1e9}};
  for (const auto& [use, rate] :
       {std::pair{NumaUse::interleaved, 4e9}, {NumaUse::one_node, 5e9}, {NumaUse::copies, 10e9}}) {
    machine.host.compute.numa = use;
    const SimulationResult result = run(model, machine, cpu_policy(), source);
    const Picoseconds expected = time_at(test::tiny_expert * 2, {rate * 0.8});
    EXPECT_NEAR(static_cast<double>(result.tally.spent[Cause::cpu_memory].count),
                static_cast<double>(expected.count), 2)
        << rate;
  }
  // Of the host's memory the experts may take one node's part, save where they lie interleaved.
  machine.host.memory = Bytes{2 * model.all_expert_bytes().count - 2};
  EXPECT_TRUE(run(model, machine, cpu_policy(), source).out_of_memory);
  machine.host.compute.numa = NumaUse::interleaved;
  EXPECT_FALSE(run(model, machine, cpu_policy(), source).out_of_memory);
}

// What is on the GPU is computed beside the CPU, and the layer ends when both are done. Probed at the
// picosecond at which the GPU becomes the slower one.
TEST(ComputeOnCpu, LayerEndsWhenGpuAndCpuAreDone) {
  const ModelSpec model = tiny_model(2, 8, 2);
  ListSource source(test::decoder_info(2, 8, 2));
  source.add(Phase::decode, 1, {0, 1, 0, 1}, true);
  PolicySpec policy = cpu_policy();
  test::place(policy, "popular", 1);
  const Picoseconds chain = activations_time() * 2 + cpu_time(1);
  MachineSpec machine = cpu_machine();
  machine.overhead.experts = {};
  const auto total = [&] { return run(model, machine, policy, source).total; };
  const Picoseconds bound_by_cpu = total();
  // The GPU's part alone: what its one expert takes.
  const SimulationResult parts = recorded(model, policy, source, machine);
  Picoseconds gpu;
  for (std::size_t i = 0; i < parts.schedule.size(); ++i) {
    if (parts.schedule.operation(static_cast<OpId>(i)).kind == OpKind::experts)
      gpu = parts.timeline.finish[i] - parts.timeline.start[i];
  }
  ASSERT_GT(chain, gpu);
  for (const std::int64_t excess : {-1, 0, 1}) {
    machine.overhead.experts = chain - gpu + Picoseconds{excess};
    EXPECT_EQ(total(), bound_by_cpu + Picoseconds{std::max<std::int64_t>(0, excess)} * 2) << excess;
  }
}

TEST(ComputeOnCpu, LayersPlacedOnTheGpuNeedNoCpu) {
  const ModelSpec model = tiny_model(3, 4, 2);
  ListSource source = one_step(3, 4, 2, {0, 1, 2, 3, 0, 1});
  PolicySpec policy = cpu_policy();
  test::place(policy, "first-layers", 2);
  const SimulationResult result = recorded(model, policy, source, cpu_machine());
  EXPECT_THAT(names(result.schedule),
              testing::ElementsAre("attention L0", "experts L0", "attention L1", "experts L1", "attention L2",
                                   "gate_readback L2", "activations L2", "cpu_experts L2", "activations L2",
                                   "experts L2", "combine L2"));
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 2);
  EXPECT_EQ(result.decode_cache.hits, 4);
}

// A background copy shares the bus with the CPU, max-min fairly: 10 GB/s between a copy that can do 6 and a
// CPU that can do 8 are 5 each, until the copy ends.
TEST(ComputeOnCpu, SharesTheBusWithCopies) {
  const ModelSpec model = tiny_model(1, 8, 2);
  MachineSpec machine = cpu_machine();
  machine.h2d = {.bandwidth = {6e9}, .latency = {}, .per_copy = {}, .pageable_bandwidth = {6e9}, .table = {}};
  machine.d2h = machine.h2d;
  ListSource source(test::decoder_info(1, 8, 2));
  source.add(Phase::decode, 1, {0, 1}, true);  // earns 2 x 12.288 x 2 us, of which a copy (16.384 us) is paid
  source.add(Phase::decode, 1, {2, 3});
  PolicySpec policy = cpu_policy();
  policy.cache.capacity = parse_capacity("4 slots", "test");
  policy.miss.admission = MissAdmission::background;
  const SimulationResult result = recorded(model, policy, source, machine);
  EXPECT_EQ(result.tally.fetches, 1);
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 4);
  const double expert = static_cast<double>(test::tiny_expert.count);
  std::vector<double> cpu_seconds;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    if (result.schedule.operation(static_cast<OpId>(i)).kind == OpKind::cpu_experts)
      cpu_seconds.push_back((result.timeline.finish[i] - result.timeline.start[i]).seconds());
  }
  ASSERT_EQ(cpu_seconds.size(), 2U);
  EXPECT_NEAR(cpu_seconds[0], 2 * expert / 8e9, 1e-12);
  // The copy starts with the activations on their way (256 B at 6 GB/s, 42.7 ns, in which it moves as much),
  // then both run at 5 GB/s until it ends; the rest of the CPU's bytes pass at 8 GB/s.
  const double shared = (expert - 256) / 5e9;
  EXPECT_NEAR(cpu_seconds[1], shared + (2 * expert - 5e9 * shared) / 8e9, 1e-9);
}

// What the cache takes in is there the next time.
TEST(ComputeOnCpu, BackgroundCopiesServeLaterTokens) {
  const ModelSpec model = tiny_model(1, 8, 1);
  MachineSpec machine = cpu_machine();
  machine.h2d.bandwidth = {9e9};
  machine.h2d.latency = machine.h2d.per_copy = {};
  ListSource source(test::decoder_info(1, 8, 1));
  for (int i = 0; i < 20; ++i) source.add(Phase::decode, 1, {5}, i == 0);
  PolicySpec policy = cpu_policy();
  policy.cache.capacity = parse_capacity("2 slots", "test");
  policy.miss.admission = MissAdmission::background;
  const SimulationResult result = run(model, machine, policy, source);
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 2);  // the first earns the copy that the second starts
  EXPECT_EQ(result.decode_cache.hits, 18);
  EXPECT_EQ(result.tally.fetches, 1);
  EXPECT_THROW(run(model, machine, policy, source, {.engine = Engine::timed}), InputError);
}

class NewParts : public testing::TestWithParam<int> {};

PolicySpec combination(int number) {
  PolicySpec policy = load_policy("on-demand");
  const auto lookahead = [&](double recall, int distance) {
    choose(policy.lookahead.predictor, built_in_parts().predictors, "given-recall");
    policy.lookahead.predictor.set("recall", std::to_string(recall));
    policy.lookahead.distance = distance;
  };
  switch (number) {
    case 0:
      return cpu_policy();
    case 1:
      policy = cpu_policy();
      test::place(policy, "first-layers", 2);
      policy.compute.experts = ExpertCompute::per_expert;
      return policy;
    case 2:
      policy.transfer.write_back = WriteBack::swap;
      return policy;
    case 3:
      policy.transfer.write_back = WriteBack::swap;
      policy.cache.capacity = parse_capacity("4 slots", "test");
      lookahead(0.7, 1);
      return policy;
    case 4:
      lookahead(0.4, 2);
      policy.cache.capacity = parse_capacity("25%", "test");
      policy.transfer.staging_copies = 2;
      return policy;
    case 5:  // from here on the bus is shared: events only
      policy = cpu_policy();
      policy.cache.capacity = parse_capacity("25%", "test");
      policy.miss.admission = MissAdmission::background;
      return policy;
    default:
      policy = cpu_policy();
      policy.cache.capacity = parse_capacity("25%", "test");
      policy.miss.admission = MissAdmission::background;
      policy.transfer.write_back = WriteBack::swap;
      lookahead(0.8, 1);
      return policy;
  }
}

// Both engines, and the exported schedule run once more, give the same times; nothing is lost or counted
// twice.
TEST_P(NewParts, EnginesAgreeAndCountsAddUp) {
  const ModelSpec model = tiny_model(4, 16, 3);
  const PolicySpec policy = combination(GetParam());
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    ListSource source = test::random_source(seed, 4, 16, 3, 2, 7, 20);
    MachineSpec machine = cpu_machine();
    machine.h2d.bandwidth = {1e9 * static_cast<double>(seed)};
    const SimulationResult event = run(model, machine, policy, source, {.engine = Engine::event});
    const SimulationResult log = run(model, machine, policy, source, {.recorded_steps = 1'000'000});
    EXPECT_EQ(event.total, log.total);
    if (GetParam() < 5) {
      const SimulationResult timed = run(model, machine, policy, source, {.engine = Engine::timed});
      EXPECT_EQ(timed.total, event.total);
      EXPECT_EQ(timed.tally.busy, event.tally.busy);
      EXPECT_EQ(timed.tally.exposed_host, event.tally.exposed_host);
      EXPECT_EQ(timed.path.transfer(), event.path.transfer());
      EXPECT_EQ(results_csv({}, {timed}), results_csv({}, {event}));
    }
    const Timeline again = sim::run(log.schedule);
    EXPECT_EQ(again.start, log.timeline.start);
    EXPECT_EQ(again.finish, log.timeline.finish);
    EXPECT_TRUE(parse_schedule_json(to_json(log.schedule, &log.timeline), "test") == log.schedule);

    const SimulationResult plain = run(model, machine, load_policy("on-demand"), source);
    for (const auto& [a, b] : {std::pair{event.decode_cache, plain.decode_cache},
                               std::pair{event.other_cache, plain.other_cache}}) {
      EXPECT_EQ(a.hits + a.misses, b.hits + b.misses);
      EXPECT_LE(a.prefetched + a.computed_on_cpu, a.misses);
      if (policy.miss.service->uses_cpu) {
        EXPECT_EQ(a.prefetched + a.computed_on_cpu, a.misses);
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Combinations, NewParts, testing::Range(0, 7));

TEST(NewParts, ContradictionsAreRefused) {
  const auto refused = [](auto&& change) {
    PolicySpec policy = load_policy("on-demand");
    change(policy);
    EXPECT_THROW(validate(policy, "test"), InputError);
  };
  refused([](PolicySpec& p) {
    choose(p.miss.service, built_in_parts().miss_services, "compute-on-cpu");
    p.cache.capacity = parse_capacity("25%", "test");
  });
  refused([](PolicySpec& p) {
    choose(p.miss.service, built_in_parts().miss_services, "compute-on-cpu");
    p.miss.admission = MissAdmission::background;
  });
  refused([](PolicySpec& p) {
    choose(p.miss.service, built_in_parts().miss_services, "compute-on-cpu");
    choose(p.lookahead.predictor, built_in_parts().predictors, "all-next");
  });
  refused([](PolicySpec& p) {
    choose(p.miss.service, built_in_parts().miss_services, "compute-on-cpu");
    test::place(p, "all");
  });
  refused([](PolicySpec& p) {
    p.transfer.write_back = WriteBack::swap;
    test::queue(p, "demand-first");
  });
  const auto refuses = [](std::vector<Override> set) {
    EXPECT_THROW(load_policy("on-demand", set), InputError) << set.back().value;
  };
  refuses({{"policy.lookahead.recall", "0.5"}});
  refuses({{"policy.lookahead.kind", "given-recall"}, {"policy.lookahead.recall", "1.5"}});
}

// Another host changes the CPU's reading of the experts and nothing else: three layers of two experts at 0.8
// of 38 and of 346 GB/s. Read-back, activations and the GPU's part take as long as before, as the link is
// slower than either memory.
TEST(ComputeOnCpu, AnotherHostChangesTheCpusTimeAlone) {
  const ModelSpec model = tiny_model(3, 8, 2);
  ListSource source = one_step(3, 8, 2, {0, 1, 2, 3, 4, 5});
  const std::vector<Override> set = {{"machine.overhead.experts", "0 us"},
                                     {"machine.host.compute.fixed", "0 us"},
                                     {"machine.host.rate", "900 PFLOP/s"}};
  const auto total = [&](const std::string& host) {
    return run(model, load_machine("rtx3060-pcie4", set, host), cpu_policy(), source).total;
  };
  const auto reading = [](double nominal) { return time_at(test::tiny_expert * 2, {0.8 * nominal}) * 3; };
  EXPECT_EQ(total("desktop-ddr4-3200"), total({})) << "the typical host of that machine";
  EXPECT_EQ(total("desktop-ddr4-3200") - total("epyc-12ch-ddr5-4800"), reading(38e9) - reading(345e9));
}

TEST(NewParts, AreReadFromFiles) {
  const PolicySpec policy =
      load_policy("on-demand", std::vector<Override>{{"policy.miss.service", "compute-on-cpu"},
                                                     {"policy.miss.admission", "background"},
                                                     {"policy.cache.capacity", "2 slots"},
                                                     {"policy.transfer.write_back", "swap"},
                                                     {"policy.lookahead.kind", "given-recall"},
                                                     {"policy.lookahead.recall", "0.8"}});
  EXPECT_EQ(policy.miss.service->name, "compute-on-cpu");
  EXPECT_EQ(policy.miss.admission, MissAdmission::background);
  EXPECT_EQ(policy.transfer.write_back, WriteBack::swap);
  EXPECT_EQ(policy.lookahead.predictor->name, "given-recall");
  const auto* recall = policy.lookahead.predictor->parameters.find("recall");
  EXPECT_EQ(recall->value(policy.lookahead.predictor.parameters()).real, 0.8);
  const MachineSpec machine =
      load_machine("rtx4090-pcie4",
                   std::vector<Override>{{"machine.host.compute.fixed", "5 us"},
                                         {"machine.host.compute.bandwidth_efficiency", "0.6"},
                                         {"machine.host.compute.formats.q4_k.compute_efficiency", "0.1"}});
  EXPECT_EQ(machine.host.compute.fixed, Picoseconds{5 * us});
  EXPECT_EQ(machine.host.compute.formats.at("q4_k").bandwidth, 0.6);
  EXPECT_EQ(machine.host.compute.formats.at("q4_k").compute, 0.1);
  EXPECT_THROW(load_machine("rtx4090-pcie4",
                            std::vector<Override>{{"machine.host.compute.bandwidth_efficiency", "0"}}),
               InputError);
}

}  // namespace
}  // namespace pregate::sim
