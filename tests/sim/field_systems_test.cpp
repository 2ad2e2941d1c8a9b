// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Published systems and their parts that need no predictor, or compute instead of copying, by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/run/replay.hpp"
#include "tests/sim/lookahead_runs.hpp"

namespace pregate::sim {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// Durations of what a schedule holds, by kind, in the order of issue.
std::vector<Picoseconds> finishes(const SimulationResult& result, OpKind kind) {
  std::vector<Picoseconds> all;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    if (result.schedule.operation(static_cast<OpId>(i)).kind == kind)
      all.push_back(result.timeline.finish[i]);
  }
  return all;
}
Picoseconds first_start(const SimulationResult& result, OpKind kind) {
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    if (result.schedule.operation(static_cast<OpId>(i)).kind == kind) return result.timeline.start[i];
  }
  return Picoseconds{-1};
}
Picoseconds lasted(const SimulationResult& result, OpKind kind) {
  Picoseconds sum;
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    if (result.schedule.operation(static_cast<OpId>(i)).kind == kind)
      sum += result.timeline.finish[i] - result.timeline.start[i];
  }
  return sum;
}

// An expert in three chunks that arrive at c, 2 c and 3 c after the ids are known, computed in three parts of
// t / 3: part i starts when its chunk is there and the part before it is done. Where chunks are slow the
// layer ends at 3 c + t / 3, where they are fast at c + t; in one piece it ends at 3 c + t.
TEST(ByChunk, StartsWithTheFirstChunkAndEndsWithTheLast) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  test::ListSource source = steps(1, 4, 1, {{0}});
  const Durations d = durations(model, source);
  const Picoseconds t = d.experts;
  for (const Picoseconds c : {t, Picoseconds{t.count / 2}, Picoseconds{t.count / 5}}) {
    const auto with = [&](const char* experts) {
      return recorded(model, policy({{"transfer.chunk", "32768 B"}, {"compute.experts", experts}}), source,
                      copies_take(c, {32768}));
    };
    const SimulationResult parts = with("by-chunk"), whole = with("per-expert");
    const std::vector<Picoseconds> chunks = finishes(parts, OpKind::fetch),
                                   computed = finishes(parts, OpKind::experts);
    ASSERT_EQ(chunks.size(), 3U);
    ASSERT_EQ(computed.size(), 3U);
    EXPECT_EQ(first_start(parts, OpKind::experts), chunks[0]) << "not before, not after its first chunk";
    EXPECT_EQ(lasted(parts, OpKind::experts), t) << "no work is added";
    Picoseconds end;
    for (std::size_t i = 0; i < 3; ++i) {
      const Picoseconds part =
          i == 0 ? computed[0] - chunks[0] : computed[i] - std::max(computed[i - 1], chunks[i]);
      end = (i == 0 ? chunks[0] : std::max(end, chunks[i])) + part;
      EXPECT_EQ(computed[i], end) << i;
    }
    EXPECT_EQ(finishes(whole, OpKind::experts).back(), chunks[2] + t);
    EXPECT_LT(computed[2], chunks[2] + t);
  }
}

TEST(ByChunk, AgreesInBothEnginesAndNeverLengthensARun) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  for (const char* ahead : {"none", "gate-reuse"}) {
    for (const char* cache : {"0", "25%"}) {
      test::ListSource source = test::random_source(4, 4, 16, 3, 3, 6, 25);
      const Set set = {{"transfer.chunk", "32768 B"}, {"cache.capacity", cache}, {"lookahead.kind", ahead}};
      const SimulationResult parts = run_both(model, test::tiny_machine(),
                                              policy(joined(set, {{"compute.experts", "by-chunk"}})), source),
                             whole =
                                 run_both(model, test::tiny_machine(),
                                          policy(joined(set, {{"compute.experts", "per-expert"}})), source);
      EXPECT_LE(parts.total, whole.total);
      EXPECT_EQ(parts.tally.fetches, whole.tally.fetches);
    }
  }
  EXPECT_THROW(policy({{"compute.experts", "by-chunk"}}), InputError) << "there are no chunks";
}

// InfMoE by hand: three experts, a copy takes 3 and computing 1, two buffers: 3 + 1, 6 + 1, 9 + 1. With one
// buffer a copy waits for the expert before it: 4, 8, 12.
TEST(InfMoE, ByHand) {
  const ModelSpec model = test::tiny_model(1, 4, 3);
  test::ListSource source = steps(1, 4, 3, {{0, 1, 2}});
  test::ListSource one = steps(1, 4, 1, {{0}});
  const Picoseconds unit = durations(test::tiny_model(1, 4, 1), one).experts;
  for (const auto& [buffers, ends] :
       {std::pair("2", std::vector<int>{4, 7, 10}), std::pair("1", std::vector<int>{4, 8, 12})}) {
    const SimulationResult result =
        recorded(model, policy({{"transfer.buffers", buffers}}, "infmoe"), source, copies_take(unit * 3));
    const std::vector<Picoseconds> computed = finishes(result, OpKind::experts);
    ASSERT_EQ(computed.size(), 3U);
    const Picoseconds known = first_start(result, OpKind::fetch);
    constexpr double router = 2000;  // ps: the first expert's kernel has the router's arithmetic as well
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(static_cast<double>((computed[i] - known).count),
                  static_cast<double>((unit * ends[i]).count), router)
          << buffers << ", " << i;
    }
  }
}

// Read-ME by hand: two slots, A B C A B C. LRU never hits. Who is needed last leaves: C takes the place of B,
// A hits; B takes A's, which is not needed again; C hits.
TEST(ReadMe, ByHand) {
  test::ListSource source = steps(1, 4, 1, {{0}, {1}, {2}, {0}, {1}, {2}});
  const auto hits = [&](const char* eviction) {
    return replay(source, policy({{"cache.capacity", "2 slots"}, {"cache.eviction", eviction}})).hits;
  };
  EXPECT_EQ(hits("lru"), 0);
  EXPECT_EQ(hits("belady-forced"), 2);
  EXPECT_EQ(hits("belady"), 2);
  const SimulationResult foretold = run_both(test::tiny_model(1, 4, 1), test::tiny_machine(),
                                             policy({{"cache.capacity", "2 slots"}}, "read-me"), source);
  EXPECT_EQ(foretold.decode_cache.hits, 2);
  EXPECT_EQ(foretold.decode_cache.prefetched, foretold.decode_cache.misses) << "all is known before the pass";
}

// AdaMoE and MoE++ by hand: of two tokens with two places each one place is a null expert's: three experts, a
// mean of 1.5 a token, and the bytes of three copies.
TEST(AdaMoE, ByHand) {
  test::ListSource source(test::decoder_info(1, 4, 2));
  source.add(trace::Phase::decode, 2, {0, trace::no_expert, 1, 2}, true, {}, 0, 2);
  const SimulationResult result =
      run_both(test::tiny_model(1, 4, 2), test::tiny_machine(), policy({}), source);
  EXPECT_EQ(result.decode_cache.misses, 3);
  EXPECT_EQ(result.tally.fetched.count, 3 * test::tiny_expert.count);
}

// SE-MoE by hand (K 2, L 4, load 3, compute 1): the link is what all wait for, and goes on over steps. Layers
// end at 4, 7, 10, 13, 16, 19, 22, 25; what computes hides behind the copies.
TEST(SeMoE, ByHand) {
  const ModelSpec model = test::tiny_model(4, 2, 1);
  test::ListSource source = steps(4, 2, 1, {{0, 0, 0, 0}, {1, 1, 1, 1}});
  const Durations d = durations(model, source);
  const Picoseconds layer = d.attention + d.gate + d.readback + d.experts;
  for (const char* ring : {"2", "3", "4"}) {
    const SimulationResult result = recorded(model, policy({{"prefetch.ring", ring}}, "se-moe"), source,
                                             copies_take(layer * 3));  // two experts: 6 layers' time
    const std::vector<Picoseconds> computed = finishes(result, OpKind::experts),
                                   copied = finishes(result, OpKind::fetch);
    ASSERT_EQ(computed.size(), 8U);
    ASSERT_GE(copied.size(), 16U) << "all of each layer, once a step";
    for (std::size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(computed[i], copied[2 * i + 1] + d.experts) << ring << ", " << i;
      if (i == 0) continue;
      EXPECT_EQ(copied[2 * i + 1] - copied[2 * i - 1], layer * 6) << ring << ", " << i;
    }
    EXPECT_EQ(result.memory.peak[static_cast<std::size_t>(MemoryPurpose::working_buffers)],
              test::tiny_expert * (2 * std::stoi(ring)))
        << "all experts of so many layers";
  }
}

// The same with both engines, where layers take longer than copies or not, over requests with prompts, and
// with a cache. Without one, each layer of each pass is copied once, and at the end a ring in vain.
TEST(SeMoE, EnginesAgreeOverSteps) {
  const ModelSpec model = test::tiny_model(4, 6, 2);
  for (const double rate : {1e8, 1e9, 1e12}) {
    MachineSpec machine = test::tiny_machine();
    machine.h2d.bandwidth = {rate};
    for (const char* capacity : {"0", "40%"}) {
      test::ListSource source = test::random_source(3, 4, 6, 2, 3, 5, 6);
      const SimulationResult run =
          run_both(model, machine, policy({{"cache.capacity", capacity}}, "se-moe"), source);
      if (std::string(capacity) != "0") continue;
      const std::int64_t passes = run.decode_steps + 3;
      EXPECT_EQ(run.tally.fetches, (passes * 4 + 2) * 6);
    }
  }
  EXPECT_THROW(policy({{"prefetch.kind", "ring"}, {"lookahead.kind", "pre-gate"}}), InputError);
  EXPECT_THROW(policy({{"lookahead.distance", "2"}}, "se-moe"), InputError);
}

// Two layers of a token with one expert each, neither on the GPU: the CPU begins with the second layer's when
// the first layer's own miss is issued, behind it. It needs no more time where that hides behind the second
// layer's attention and gate; a wrong guess costs the CPU its time and the layer that of its own miss.
TEST(CpuAhead, BeginsWhenTheLayerBeforeHasIssuedItsMisses) {
  const ModelSpec model = test::tiny_model(2, 4, 1);
  test::ListSource source = steps(2, 4, 1, {{0, 1}});
  MachineSpec machine = test::tiny_machine();
  machine.host.memory_bandwidth = {2e9};  // the CPU takes longer than the GPU's kernel beside it
  const auto with = [&](const char* recall, const char* kind) {
    return recorded(model,
                    policy({{"miss.service", "compute-on-cpu"},
                            {"lookahead.kind", "given-recall"},
                            {"lookahead.recall", recall},
                            {"prefetch.kind", kind},
                            {"cache.capacity", "0"}}),
                    source, machine);
  };
  const SimulationResult right = with("1", "cpu-ahead"), wrong = with("0", "cpu-ahead"),
                         late =
                             recorded(model, policy({{"miss.service", "compute-on-cpu"}}), source, machine);
  const std::vector<Picoseconds> on_cpu = finishes(right, OpKind::cpu_experts);
  ASSERT_EQ(on_cpu.size(), 2U);
  EXPECT_EQ(finishes(wrong, OpKind::cpu_experts).size(), 3U);
  EXPECT_EQ(right.decode_cache.computed_ahead, 1);
  EXPECT_EQ(right.decode_cache.computed_on_cpu, 2);
  EXPECT_EQ(wrong.decode_cache.computed_ahead, 0);
  EXPECT_EQ(wrong.decode_cache.computed_on_cpu, 2);
  const Picoseconds second_starts{on_cpu[1].count - lasted(right, OpKind::cpu_experts).count / 2};
  EXPECT_LT(second_starts, finishes(right, OpKind::attention).back())
      << "long before the second layer's gate";
  // Both layers of the late one wait as long for the CPU; here the first one alone.
  ASSERT_GT(late.tally.exposed_cpu.count, 0);
  EXPECT_EQ(right.tally.exposed_cpu * 2, late.tally.exposed_cpu);
  EXPECT_EQ(right.total + right.tally.exposed_cpu, late.total);
  EXPECT_GE(wrong.total, late.total);
  EXPECT_THAT(right.notes, Contains(HasSubstr("earlier layer")));
  EXPECT_EQ(right.tally.fetches, 0);
}

// DAOP by hand: of a token's two absent experts the CPU begins with the likelier one a layer early, and a
// resident stands in for the other; a layer that nobody predicts, the first, computes the heavier one itself.
TEST(Daop, ByHand) {
  const ModelSpec model = test::tiny_model(2, 8, 2);
  test::ListSource source = steps(2, 8, 2, {{6, 7, 6, 7}});
  source.weigh_by_halves(2);
  const SimulationResult result =
      run_both(model, test::tiny_machine(),
               policy({{"cache.capacity", "2 slots"}, {"lookahead.recall", "1"}}, "daop"), source);
  EXPECT_EQ(result.decode_cache.computed_on_cpu, 2);
  EXPECT_EQ(result.decode_cache.computed_ahead, 1);
  EXPECT_EQ(result.decode_cache.substituted, 2);
  EXPECT_EQ(result.tally.fetches, 0);
}

TEST(FieldSystems, SayWhatDoesNotGoTogether) {
  const Set ahead = {{"lookahead.kind", "gate-reuse"}};
  EXPECT_THROW(policy(joined(ahead, {{"transfer.buffers", "2"}})), InputError);
  EXPECT_THROW(policy({{"transfer.buffers", "2"}, {"miss.service", "compute-on-cpu"}}), InputError);
  EXPECT_THROW(policy(joined(ahead, {{"prefetch.kind", "cpu-ahead"}})), InputError) << "nobody is on the CPU";
  EXPECT_THROW(policy(joined(ahead, {{"prefetch.kind", "cpu-ahead"},
                                     {"prefetch.wrong", "cancel"},
                                     {"miss.service", "compute-on-cpu"}})),
               InputError);
  EXPECT_THROW(
      policy(
          {{"compute.experts", "by-chunk"}, {"transfer.chunk", "32768 B"}, {"transfer.staging_copies", "1"}}),
      InputError);
}

// Bits by expert: of four experts the two that are activated most come in the model's format, fp32, the
// others in int8, a quarter of the bytes.
TEST(FormatByPopularity, CopiesEachExpertInItsFormat) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  test::ListSource source = steps(1, 4, 1, {{3}, {3}, {2}, {2}, {1}, {0}});
  const SimulationResult result = run_both(model, test::tiny_machine(),
                                           policy({{"miss.service", "format-by-popularity"},
                                                   {"miss.wide", "0.5"},
                                                   {"formats.low", "int8"},
                                                   {"formats.low_capacity", "0"}}),
                                           source);
  EXPECT_EQ(result.decode_cache.low_fetched, 2);
  EXPECT_EQ(result.tally.fetched.count, 4 * test::tiny_expert.count + 2 * test::tiny_expert.count / 4);
}

}  // namespace
}  // namespace pregate::sim
