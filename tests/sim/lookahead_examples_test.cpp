// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Published systems that look ahead, on examples worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/lookahead_runs.hpp"

namespace pregate::sim {
namespace {

// SiDA by hand: FIFO of two slots, foretold {1, 2}, {1, 3}, {2, 3}; members stay: m m, h m (2 leaves), m (1
// leaves) h: two hits of six, four copies.
TEST(Sida, ByHand) {
  test::ListSource source = steps(1, 8, 2, {{1, 2}, {1, 3}, {2, 3}});
  const SimulationResult result =
      run_both(test::tiny_model(1, 8, 2), test::tiny_machine(),
               policy({{"lookahead.accuracy", "1"}, {"cache.capacity", "2 slots"}}, "sida"), source);
  EXPECT_EQ(result.decode_cache.hits, 2);
  EXPECT_EQ(result.decode_cache.prefetched, 4);
  EXPECT_EQ(result.tally.fetches, 4);
}

// ExpertFlow by hand: {1, 2} of the first layer, {3, 4, 5} of the second one, foretold before the step: five
// copies, none demanded.
TEST(ExpertFlow, ByHand) {
  test::ListSource source(test::decoder_info(2, 8, 3));
  source.add(trace::Phase::decode, 1, {1, 2, trace::no_expert, 3, 4, 5}, true);
  const SimulationResult result =
      run_both(test::tiny_model(2, 8, 3), test::tiny_machine(),
               policy({{"lookahead.accuracy", "1"}, {"cache.capacity", "2 slots"}}, "expertflow"), source);
  EXPECT_EQ(result.decode_cache.misses, 5);
  EXPECT_EQ(result.decode_cache.prefetched, 5);
  EXPECT_EQ(result.tally.fetches, 5);
}

// mixtral-offloading by hand: two slots, {1, 2}, {1, 3}, {1, 2}: two hits of six, four copies in. Of the two
// experts that leave for another, both are copied back.
TEST(MixtralOffloading, ByHand) {
  test::ListSource source = steps(1, 8, 2, {{1, 2}, {1, 3}, {1, 2}});
  const SimulationResult result =
      run_both(test::tiny_model(1, 8, 2), test::tiny_machine(),
               policy({{"cache.capacity", "2 slots"}}, "mixtral-offloading"), source);
  EXPECT_EQ(result.decode_cache.hits, 2);
  EXPECT_EQ(result.tally.fetches, 4);
  EXPECT_EQ(result.decode_cache.written_back, 2);
}

// ProMoE by hand: an announced X in three chunks starts at 0, Y is demanded half a chunk later. X's first
// chunk ends, then Y's three: at 4 chunks, and X's other two are dropped when X turns out wrong, or follow.
// In one piece each, Y ends with the sixth.
TEST(ProMoE, ByHand) {
  const ModelSpec model = test::tiny_model(2, 8, 1);
  test::ListSource source = steps(2, 8, 1, {{0, 1}});
  const Durations d = durations(model, source);
  const Picoseconds window = d.experts + d.attention + d.gate + d.readback, chunk = window * 2;
  const auto with = [&](Bytes size, const char* wrong, Picoseconds copy) {
    return run_both(model, copies_take(copy, size),
                    policy({{"lookahead.recall", "0"},
                            {"lookahead.distance", "1"},
                            {"lookahead.cost", "0"},
                            {"cache.capacity", "0"},
                            {"placement.kind", "first-layers"},
                            {"placement.count", "1"},
                            {"transfer.chunk", std::to_string(size.count) + " B"},
                            {"prefetch.wrong", wrong}},
                           "promoe"),
                    source);
  };
  const SimulationResult dropped = with({32768}, "cancel", chunk), kept = with({32768}, "keep", chunk),
                         whole = with(test::tiny_expert, "cancel", chunk * 3);
  EXPECT_EQ(dropped.tally.exposed_transfer, chunk * 4 - window);
  EXPECT_EQ(dropped.tally.fetches, 4);
  EXPECT_EQ(dropped.decode_cache.cancelled, 1);
  EXPECT_EQ(dropped.decode_cache.wasted, 0);
  EXPECT_EQ(kept.tally.exposed_transfer, chunk * 4 - window);
  EXPECT_EQ(kept.tally.fetches, 6);
  EXPECT_EQ(whole.tally.exposed_transfer, chunk * 6 - window);
  EXPECT_EQ(whole.decode_cache.cancelled, 0) << "it had started";
  EXPECT_EQ(whole.decode_cache.wasted, 1);
}

// What is computed instead may be more experts than the trace activates: of two tokens with the same two of
// 16, four or so. The buffers are for two; the layer runs in waves.
TEST(Hash, MayComputeMoreThanTheTraceActivates) {
  const ModelSpec model = test::tiny_model(3, 16, 2);
  test::ListSource source(test::decoder_info(3, 16, 2));
  for (int step = 0; step < 20; ++step)
    source.add(trace::Phase::decode, 2, {0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5}, step == 0);
  for (const char* prefetch : {"before-pass", "at-distance"}) {
    const SimulationResult result = run_both(model, test::tiny_machine(),
                                             policy({{"lookahead.kind", "hash"},
                                                     {"lookahead.accuracy", "0"},
                                                     {"lookahead.exact", "false"},
                                                     {"prefetch.kind", prefetch}}),
                                             source);
    EXPECT_GT(result.decode_cache.hits + result.decode_cache.misses, 20 * 3 * 3);
  }
}

// What is foretold is computed: it says so, and needs no demanded copy.
TEST(Hash, ThatReplacesTheRoutingIsNotExact) {
  const ModelSpec model = test::tiny_model(4, 16, 2);
  test::ListSource source = test::random_source(8, 4, 16, 2, 2, 4, 20);
  const Set set = {
      {"lookahead.kind", "hash"}, {"lookahead.accuracy", "0.5"}, {"prefetch.kind", "before-pass"}};
  const SimulationResult exact = run_both(model, test::tiny_machine(), policy(set), source),
                         other = run_both(model, test::tiny_machine(),
                                          policy(joined(set, {{"lookahead.exact", "false"}})), source);
  EXPECT_LT(exact.decode_cache.right_guesses, exact.decode_cache.foreseeable);
  EXPECT_EQ(other.decode_cache.prefetched, other.decode_cache.misses);
  EXPECT_THAT(other.notes, testing::Contains(testing::HasSubstr("not exact")));
  EXPECT_THAT(exact.notes, testing::Not(testing::Contains(testing::HasSubstr("not exact"))));
  EXPECT_FALSE(why_not_exact(exact.policy));
  EXPECT_TRUE(why_not_exact(other.policy));
}

}  // namespace
}  // namespace pregate::sim
