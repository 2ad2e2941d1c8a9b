// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Runs whose cache watches gates, exchanges experts between passes, or is not empty at the start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "sim/policy/load_policy.hpp"
#include "sim/run/replay.hpp"
#include "tests/sim/tiny.hpp"
#include "tests/sim/trace_file.hpp"

namespace pregate::sim {
namespace {

PolicySpec cached(const std::string& cache) { return parse_policy_toml("[cache]\n" + cache, "test"); }

std::int64_t hits(const SimulationResult& result) {
  return result.decode_cache.hits + result.other_cache.hits;
}
std::int64_t misses(const SimulationResult& result) {
  return result.decode_cache.misses + result.other_cache.misses;
}

// What is copied is what misses and what is exchanged; who hits is who hits without a clock.
TEST(Exchange, CopiesWhatComesIn) {
  const ModelSpec model = test::tiny_model(4, 16, 3);
  for (const char* eviction : {"periodic-rank", "window-load"}) {
    for (const char* scope : {"layer", "global"}) {
      test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 30);
      const PolicySpec policy = cached("capacity = \"25%\"\neviction = \"" + std::string(eviction) +
                                       "\"\nscope = \"" + scope + "\"");
      const ReplayResult replayed = replay(source, policy);
      const SimulationResult result = test::run(model, test::tiny_machine(), policy, source);
      EXPECT_GT(replayed.swaps, 0);
      EXPECT_EQ(hits(result), replayed.hits) << eviction;
      EXPECT_EQ(result.tally.fetches, misses(result) + replayed.swaps) << eviction;
    }
  }
}

// 1 slot, windows of 3 passes: 0, 1, 1, and 1 comes for 0 behind the third pass. The fourth hits, and waits
// for the copy: at 50 MB/s it ends 98,304 B / 50 MB/s - 98,304 B / 100 MB/s = 983.04 us later than at 100
// MB/s, where the 170 us before its experts are over long before the copy as well.
TEST(Exchange, AHitWaitsForTheCopyThatIsUnderWay) {
  const ModelSpec model = test::tiny_model(1, 4, 1);
  const PolicySpec policy = cached("capacity = \"1 slot\"\neviction = \"window-load\"\nload_window = 3");
  const auto last_step = [&](double rate) {
    MachineSpec machine = test::tiny_machine();
    machine.h2d.bandwidth = {rate};
    Picoseconds total[2];
    for (const int steps : {3, 4}) {
      test::ListSource source(test::decoder_info(1, 4, 1));
      for (int step = 0; step < steps; ++step)
        source.add(trace::Phase::decode, 1, {static_cast<std::uint16_t>(step == 0 ? 0 : 1)}, step == 0);
      const SimulationResult result = test::run(model, machine, policy, source);
      EXPECT_EQ(misses(result), 3);
      total[steps - 3] = result.total;
    }
    return total[1] - total[0];
  };
  EXPECT_EQ(last_step(5e7) - last_step(1e8), from_seconds(983.04e-6));
}

// The profile's steps activate 3 and 2 most; 2 slots. Of the run's steps the first would miss both in a cold
// cache.
TEST(Profile, FillsTheCacheBeforeTheRun) {
  const ModelSpec model = test::tiny_model(1, 4, 2);
  test::ListSource other(test::decoder_info(1, 4, 2));
  other.add(trace::Phase::decode, 1, {3, 2}, true);
  other.add(trace::Phase::decode, 1, {3, 0});
  other.add(trace::Phase::decode, 1, {3, 2});
  const test::TraceFile file(other);
  test::ListSource source(test::decoder_info(1, 4, 2));
  source.add(trace::Phase::decode, 1, {2, 3}, true);
  source.add(trace::Phase::decode, 1, {0, 1});
  source.add(trace::Phase::decode, 1, {3, 2});
  for (const char* eviction : {"lru", "belady", "periodic-rank", "arc", "lfu-decay"}) {
    const std::string cache = "capacity = \"2 slots\"\neviction = \"" + std::string(eviction) + "\"\n";
    const PolicySpec seeded = cached(cache + "profile = \"" + file.path() + "\"");
    const ReplayResult replayed = replay(source, seeded);
    const SimulationResult result = test::run(model, test::tiny_machine(), seeded, source);
    // All but lru, arc and lfu-decay keep both through the second step.
    const bool keeps = std::string(eviction) == "belady" || std::string(eviction) == "periodic-rank";
    EXPECT_EQ(replayed.hits, keeps ? 4 : 2) << eviction;
    EXPECT_EQ(hits(result), replayed.hits) << eviction;
    EXPECT_EQ(result.tally.fetches, misses(result)) << eviction;
    EXPECT_THAT(result.notes, testing::Contains(testing::HasSubstr("starts with the 2 experts")));
  }
}

TEST(Profile, MustBeOfTheSameModel) {
  test::ListSource other = test::random_source(1, 2, 8, 2, 1, 3, 3);
  const test::TraceFile file(other);
  test::ListSource source = test::random_source(1, 4, 16, 3, 1, 3, 3);
  const PolicySpec policy = cached("capacity = \"2 slots\"\nprofile = \"" + file.path() + "\"");
  EXPECT_THROW(replay(source, policy), InputError);
  EXPECT_THROW(test::run(test::tiny_model(4, 16, 3), test::tiny_machine(), policy, source), InputError);
}

TEST(RecentScore, NeedsATraceWithGateWeights) {
  test::ListSource source = test::random_source(1, 4, 16, 3, 1, 3, 3);
  const PolicySpec policy = cached("capacity = \"2 slots\"\neviction = \"recent-score\"");
  try {
    std::ignore = replay(source, policy);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("needs a trace with gate weights"));
  }
  EXPECT_THROW(test::run(test::tiny_model(4, 16, 3), test::tiny_machine(), policy, source), InputError);
}

// Parameters mean something with the eviction that has them, in ranges of their own.
TEST(EvictionParameters, AreOfTheirEviction) {
  EXPECT_THROW(cached("capacity = \"2 slots\"\ndecay = 0.9"), InputError);
  EXPECT_THROW(cached("capacity = \"2 slots\"\neviction = \"lfu-decay\"\ndecay = 2"), InputError);
  EXPECT_THROW(cached("capacity = \"2 slots\"\neviction = \"lfu-decay\"\nsample = 2"), InputError);
  test::ListSource source = test::random_source(5, 4, 16, 3, 3, 7, 60);
  const auto with = [&](const char* decay) {
    return replay(source,
                  cached("capacity = \"25%\"\neviction = \"lfu-decay\"\ndecay = " + std::string(decay)))
        .hits;
  };
  EXPECT_NE(with("0.2"), with("1"));
  EXPECT_EQ(with("0.99"), replay(source, cached("capacity = \"25%\"\neviction = \"lfu-decay\"")).hits);
}

// The host's memory sees what the GPU lacks, not the gates.
TEST(HostCache, RefusesEvictionsThatWatch) {
  EXPECT_THROW(parse_policy_toml("[host_cache]\ncapacity = \"25%\"\neviction = \"hobbit\"", "test"),
               InputError);
  EXPECT_NO_THROW(
      parse_policy_toml("[host_cache]\ncapacity = \"25%\"\neviction = \"lfru-sampled\"\nsample = 4", "test"));
}

}  // namespace
}  // namespace pregate::sim
