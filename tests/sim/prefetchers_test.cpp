// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What prefetchers announce, told what a predictor names, what is there and how long things should take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/parts/parts.hpp"

namespace pregate::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr std::int64_t us = 1'000'000, ms = 1000 * us;

struct Said final : Predictor {
  std::map<int, std::vector<ExpertKey>> keys;         // by target
  std::map<int, std::vector<double>> probability_of;  // likewise
  std::vector<double> last;
  std::span<const ExpertKey> predict(int, int target) override {
    last = probability_of[target];
    return keys[target];
  }
  [[nodiscard]] std::span<const double> probabilities() const override { return last; }
};

struct Heard final : Announcements {
  std::vector<std::pair<int, ExpertKey>> wanted;
  std::set<ExpertKey> brought, arrived;
  std::map<int, std::vector<ExpertKey>> copies;
  void want(int target, std::span<const ExpertKey> keys) override {
    for (const ExpertKey key : keys) wanted.emplace_back(target, key);
  }
  [[nodiscard]] std::span<const ExpertKey> fetched(int target) const override {
    const auto found = copies.find(target);
    return found == copies.end() ? std::span<const ExpertKey>{} : found->second;
  }
  [[nodiscard]] bool is_brought(ExpertKey key) const override { return brought.count(key) > 0; }
  [[nodiscard]] bool has_arrived(ExpertKey key) const override { return arrived.count(key) > 0; }
  bool drop(int, ExpertKey) override { return false; }
};

struct Guessed final : Estimates {
  Picoseconds copy, layer;
  [[nodiscard]] Picoseconds fetch() const override { return copy; }
  [[nodiscard]] Picoseconds on_cpu(int, std::int64_t experts, std::uint32_t) const override {
    return Picoseconds{100 * us} * experts;
  }
  [[nodiscard]] Picoseconds on_gpu(int, std::uint32_t) const override { return {10 * us}; }
  [[nodiscard]] Picoseconds between_gates(int, std::uint32_t, std::uint32_t) const override { return layer; }
};

struct Busy final : Clock {
  Picoseconds left;
  [[nodiscard]] bool is_done(OpId) const override { return true; }
  [[nodiscard]] Picoseconds backlog(StreamId) const override { return left; }
};

struct Prefetching : testing::Test {
  Busy link;
  Said said;
  Heard heard;
  Guessed guessed;
  std::vector<std::uint8_t> offloaded = std::vector<std::uint8_t>(8, 1);
  std::unique_ptr<Prefetcher> made;

  void make(const std::string& kind, const std::vector<std::pair<std::string, std::string>>& parameters = {},
            int distance = 1) {
    Chosen<PrefetcherEntry> part = built_in_parts().prefetchers.find(kind, "test");
    for (const auto& [key, value] : parameters) part.set(key, value);
    made = part->make(part.parameters(), distance);
  }
  [[nodiscard]] LayersAhead after(int ordinal) const { return {ordinal, 8, offloaded}; }
  Moment moment(int ordinal) {
    Moment moment{};
    moment.estimates = &guessed;
    moment.clock = &link;
    moment.ordinal = ordinal;
    moment.activated = moment.routed = 4;
    return moment;
  }
  /// (target, expert) in the order of announcement.
  std::vector<std::pair<int, ExpertKey>> look_from(int ordinal) {
    heard.wanted.clear();
    made->look_ahead(moment(ordinal), after(ordinal), said, heard);
    return heard.wanted;
  }
};

TEST_F(Prefetching, SeveralHorizonsBeginAtTheDistance) {
  for (int layer = 0; layer < 8; ++layer) said.keys[layer] = {static_cast<ExpertKey>(10 * layer)};
  make("horizons", {{"horizons", "3"}}, 2);
  EXPECT_THAT(look_from(1), ElementsAre(Pair(3, 30), Pair(4, 40), Pair(5, 50)));
  EXPECT_THAT(look_from(4), ElementsAre(Pair(6, 60), Pair(7, 70)));
  EXPECT_FALSE(made->reaches(after(6)));
  offloaded[4] = 0;
  EXPECT_THAT(look_from(1), ElementsAre(Pair(3, 30), Pair(5, 50)));
}

// Fate's: 3.1 ms until the gate and 1 ms a copy are three copies. Who is there already is kept and costs
// none.
TEST_F(Prefetching, ATimeBudgetHoldsWholeCopies) {
  guessed.copy = {ms};
  guessed.layer = {3100 * us};
  said.keys[1] = {5, 6, 7, 8, 9};
  make("time-budget");
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 5), Pair(1, 6), Pair(1, 7)));
  heard.brought = {6, 9};
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 5), Pair(1, 6), Pair(1, 7), Pair(1, 8), Pair(1, 9)));
  heard.brought.clear();
  make("time-budget", {{"least", "4"}});
  EXPECT_EQ(look_from(0).size(), 4);
  make("time-budget", {{"least_activated", "true"}});
  EXPECT_EQ(look_from(0).size(), 4) << "as the running layer activates";
  said.keys[2] = {1, 2, 3, 4, 5, 6, 7};
  make("time-budget", {}, 2);
  EXPECT_EQ(look_from(0).size(), 6) << "two layers leave twice the time";
  guessed.copy = guessed.layer = {ms};
  make("time-budget");
  EXPECT_EQ(look_from(0).size(), 1);
  guessed.layer = {ms - 1};
  EXPECT_THAT(look_from(0), IsEmpty());
}

// ExpertFlow's: 4 experts of 9 MiB at 25 GB/s are 1.51 ms, a layer takes .5 ms: 3.02, so four layers.
TEST_F(Prefetching, AnAdaptiveHorizonFollowsCopiesAndStalls) {
  guessed.copy = time_at(Bytes{9 << 20}, {25e9});
  guessed.layer = {500 * us};
  for (int layer = 0; layer < 8; ++layer) said.keys[layer] = {static_cast<ExpertKey>(10 * layer)};
  make("adaptive-horizon", {{"reach", "6"}});
  EXPECT_EQ(look_from(0).size(), 4);
  const std::vector<ExpertKey> activated = {10};
  heard.copies[1] = {10};
  made->gate_known(moment(1), activated, heard);  // its copy has not ended
  EXPECT_EQ(look_from(0).size(), 5);
  heard.arrived = {10};
  made->gate_known(moment(1), activated, heard);
  EXPECT_EQ(look_from(0).size(), 5);
  heard.copies[1] = {10, 11, 12};  // two of three in vain
  made->gate_known(moment(1), activated, heard);
  EXPECT_EQ(look_from(0).size(), 4);
  for (int again = 0; again < 9; ++again) made->gate_known(moment(1), activated, heard);
  EXPECT_EQ(look_from(0).size(), 1) << "never none";
}

TEST_F(Prefetching, LooksNoFurtherThanTheFirstMiss) {
  said.keys = {{1, {10}}, {2, {20, 21}}, {3, {30}}, {4, {40}}};
  make("first-miss", {{"reach", "3"}});
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 10)));
  heard.brought = {10, 20};
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 10), Pair(2, 20), Pair(2, 21))) << "residents are kept";
  heard.brought = {10, 20, 21, 30};
  EXPECT_EQ(look_from(0).size(), 4) << "and layer 4 is out of reach";
}

// MoE-Infinity's example: (1, 1) .667, (2, 1) .250, (2, 2) .083.
TEST_F(Prefetching, OneQueueTakesTheLikeliest) {
  said.keys = {{1, {11}}, {2, {21, 22}}, {3, {30}}};
  said.probability_of = {{1, {.667}}, {2, {.25, .083}}, {3, {.3}}};
  make("likeliest", {{"reach", "2"}, {"copies", "9"}});
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 11), Pair(2, 21), Pair(2, 22)));
  make("likeliest", {{"reach", "3"}, {"copies", "2"}});
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 11), Pair(3, 30)));
  heard.brought = {11};
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 11), Pair(3, 30), Pair(2, 21)));
  said.probability_of.clear();
  make("likeliest", {{"reach", "2"}, {"copies", "9"}});
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 11), Pair(2, 21), Pair(2, 22))) << "nearest first";
}

// The CPU takes 100 us an expert, a copy 150, the GPU 10. Three missing of layer 1: two on the CPU, one over
// the link, 200 us; with one there, one each: 160. One missing of layer 2: 100 on the CPU; there: 10. So
// layer 2's copy gains 90, layer 1's 40. Until the next gate 200 us are left: the second copy still starts.
TEST_F(Prefetching, CopiesGoWhereTheyGainMost) {
  guessed.copy = {150 * us};
  guessed.layer = {200 * us};
  said.keys = {{1, {11, 12, 13}}, {2, {21}}};
  make("gain", {{"reach", "2"}});
  EXPECT_THAT(look_from(0), ElementsAre(Pair(2, 21), Pair(1, 11)));
  link.left = {50 * us};
  EXPECT_THAT(look_from(0), ElementsAre(Pair(2, 21)));
  link.left = {200 * us};
  EXPECT_THAT(look_from(0), IsEmpty()) << "the link is busy until then";
  heard.brought = {12};
  EXPECT_THAT(look_from(0), ElementsAre(Pair(1, 12))) << "who is there is kept";
}

TEST_F(Prefetching, BeforeAPassAllLayersOrAWindowOfThem) {
  for (int layer = 0; layer < 8; ++layer) said.keys[layer] = {static_cast<ExpertKey>(10 * layer)};
  make("before-pass");
  made->pass_begins(after(-1), said, heard);
  EXPECT_EQ(heard.wanted.size(), 8);
  EXPECT_FALSE(made->reaches(after(0)));
  make("before-pass", {{"window", "2"}});
  heard.wanted.clear();
  made->begin_pass();
  made->pass_begins(after(-1), said, heard);
  EXPECT_THAT(heard.wanted, ElementsAre(Pair(0, 0), Pair(1, 10)));
  said.keys.clear();  // it was asked once
  EXPECT_THAT(look_from(0), ElementsAre(Pair(2, 20)));
}

}  // namespace
}  // namespace pregate::sim
