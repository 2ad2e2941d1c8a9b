// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What predictors name when they are asked, without a simulation around them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <tuple>

#include "sim/cache/split_mix.hpp"
#include "sim/parts/predictor/transitions.hpp"
#include "sim/workload/guessed_routing.hpp"
#include "tests/sim/fed_predictor.hpp"
#include "tests/support/list_source.hpp"
#include "tests/support/shared_data.hpp"
#include "traces/import.hpp"
#include "traces/reader.hpp"

namespace pregate::sim {
namespace {

using test::Fed;
using test::predictor;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(PreviousToken, NamesTheStepBeforeAndNobodyAtFirst) {
  Fed fed(predictor("previous-token"), test::decoder_info(2, 8, 2));
  fed.begin(true);
  EXPECT_THAT(fed.predict(-1, 0), IsEmpty());
  fed.see(0, {3, 1});
  fed.see(1, {5, 6});
  fed.begin();
  EXPECT_THAT(fed.predict(-1, 0), ElementsAre(3, 1));
  EXPECT_THAT(fed.predict(0, 1), ElementsAre(5, 6));
  fed.begin(true);
  EXPECT_THAT(fed.predict(0, 1), IsEmpty()) << "of another request";
}

/// Decode steps of two layers: 0 in the first, then these in the second one.
void see_after_0(Fed& fed, std::initializer_list<ExpertKey> each) {
  for (const ExpertKey next : each) {
    fed.begin();
    fed.see(0, {0});
    fed.predict(0, 1);
    fed.see(1, {next});
  }
}

// After 0 came 1 twice and 2 once: shares 2/3 and 1/3. After 3 nobody is known.
TEST(Table, CountsWhatCameAfterAnExpert) {
  Fed fed(predictor("table", {{"guesses", "2"}}), test::decoder_info(2, 4, 1));
  see_after_0(fed, {1, 2, 1});
  fed.begin();
  fed.see(0, {0});
  EXPECT_THAT(fed.predict(0, 1), ElementsAre(1, 2));
  EXPECT_THAT(fed.probabilities(), ElementsAre(DoubleNear(2.0 / 3, 1e-6), DoubleNear(1.0 / 3, 1e-6)));
  fed.see(0, {3});
  EXPECT_THAT(fed.predict(0, 1), IsEmpty());
}

// Klotski's hot experts: however many a batch activates, as many are named as a token has, or as are given.
TEST(Table, NamesSoManyOfALayer) {
  const std::map<std::string, std::vector<ExpertKey>> named = {{"0", {3, 2}}, {"1", {3}}, {"4", {3, 2, 1}}};
  const std::vector<std::vector<ExpertKey>> steps = {{1, 2, 3}, {2, 3}, {3}};
  for (const auto& [guesses, keys] : named) {
    Fed fed(predictor("table", {{"guesses", guesses}, {"per_layer", "true"}}), test::decoder_info(2, 4, 2));
    for (const std::vector<ExpertKey>& next : steps) {
      fed.begin();
      fed.see(0, {0, 1, 2});
      fed.predict(0, 1);
      fed.see(1, next);
    }
    fed.begin();
    fed.see(0, {0, 1, 2});
    EXPECT_THAT(fed.predict(0, 1), testing::ElementsAreArray(keys)) << guesses;
  }
}

// 0 1 2 and 3 1 0: after 1 both are as likely, and the lower id is named; who came before 1 tells them apart.
TEST(Table, OfOrderTwoKnowsTheLayerBefore) {
  for (const bool two : {false, true}) {
    Fed fed(predictor("table", {{"order", two ? "2" : "1"}}), test::decoder_info(3, 4, 1));
    const auto step = [&](ExpertKey first, ExpertKey last) {
      fed.begin();
      fed.see(0, {first});
      fed.see(1, {1});
      const std::vector<ExpertKey> named = fed.predict(1, 2);
      fed.see(2, {last});
      return named;
    };
    step(0, 2);
    step(3, 0);
    EXPECT_THAT(step(0, 2), ElementsAre(two ? 2 : 0));
    EXPECT_THAT(step(3, 0), ElementsAre(two ? 0 : 2)) << "2 came twice by now";
  }
}

/// Counts of order 2, in the plainest way.
struct PlainTransitions {
  std::map<std::tuple<ExpertKey, ExpertKey, ExpertKey>, float> counts;
  std::map<std::pair<ExpertKey, ExpertKey>, float> sums;

  void learn(const std::vector<ExpertKey>& before, const std::vector<ExpertKey>& activated,
             const std::vector<ExpertKey>& target) {
    for (const ExpertKey a : before)
      for (const ExpertKey b : activated) {
        for (const ExpertKey c : target) ++counts[{a, b, c}];
        sums[{a, b}] += static_cast<float>(target.size());
      }
  }
  double score(const std::vector<ExpertKey>& before, const std::vector<ExpertKey>& activated, ExpertKey of) {
    double score = 0;
    for (const ExpertKey a : before)
      for (const ExpertKey b : activated)
        if (sums[{a, b}] > 0)
          score += static_cast<double>(counts[{a, b, of}]) * (1 / static_cast<double>(sums[{a, b}]));
    return score;
  }
};

// To the bit, through counts that outgrow one byte and two: 90,000 steps in which the same experts come
// often.
TEST(Transitions, AreWhatPlainCountsAre) {
  const ExpertMap map(test::decoder_info(3, 8, 2));
  std::int64_t bytes = 1 << 20;
  Transitions transitions(map, 2, 1, bytes);
  PlainTransitions plain;
  cache::SplitMix draws(7);
  const auto two_of = [&](ExpertKey first) {
    const auto one = static_cast<ExpertKey>(draws.below(16) == 0 ? draws.below(8) : 2);
    const auto other = (one + 1 + static_cast<ExpertKey>(draws.below(16) == 0 ? draws.below(7) : 0)) % 8;
    return std::vector<ExpertKey>{first + one, first + other};
  };
  for (int i = 0; i < 90'000; ++i) {
    const auto before = two_of(0), activated = two_of(8), target = two_of(16);
    if (i % 100 == 0 || (i > 250 && i < 320)) {
      const std::span<const double> scores = transitions.scores(1, before, activated);
      for (ExpertKey e = 0; e < 8; ++e) ASSERT_EQ(scores[e], plain.score(before, activated, 16 + e)) << i;
    }
    transitions.learn(1, before, activated, target);
    plain.learn(before, activated, target);
  }
  EXPECT_GT((plain.counts[{2, 10, 18}]), 65'535) << "else nothing outgrew two bytes";
}

TEST(Table, StopsLearningAndRefusesWhatDoesNotFit) {
  Fed fed(predictor("table", {{"learns", "1"}}), test::decoder_info(2, 4, 1));
  see_after_0(fed, {2, 1, 1});
  fed.begin();
  fed.see(0, {0});
  EXPECT_THAT(fed.predict(0, 1), ElementsAre(2));

  Fed large(predictor("table", {{"order", "2"}}), test::decoder_info(60, 256, 8));  // 60 x 256^3 x 4 B
  large.begin();
  large.see(0, {0});
  EXPECT_THROW(large.predict(0, 1), InputError);
  EXPECT_THROW(Fed(predictor("table", {{"profile", "/nowhere/at.all"}}), test::decoder_info(2, 4, 1)),
               InputError);
}

// The worked example of MoE-Infinity's matching: three layers of three experts. The running request's first
// row (3, 1, 0) is closest to the matrix whose first row is (4, 0, 0), by cosine .949 against .316. Of its
// second row (0, 4, 0), one layer ahead of three: 1 x 2/3; of its third (0, 3, 1), two ahead: 3/4 x 1/3 and
// 1/4 x 1/3.
TEST(ActivationMatrix, NamesWhatTheMostSimilarRequestActivated) {
  Fed fed(predictor("activation-matrix", {{"guesses", "3"}}), test::decoder_info(3, 3, 1));
  fed.begin(true);
  fed.see(0, {0}, {4});
  fed.see(1, {1}, {4});
  EXPECT_THAT(fed.predict(0, 1), IsEmpty()) << "nothing is remembered";
  fed.see(2, {1, 2}, {3, 1});
  fed.begin(true);
  fed.see(0, {1}, {4});
  fed.see(1, {0}, {4});
  fed.see(2, {0, 2}, {1, 3});
  fed.begin(true);
  fed.see(0, {0, 1}, {3, 1});
  EXPECT_THAT(fed.predict(0, 1), ElementsAre(1));
  EXPECT_THAT(fed.probabilities(), ElementsAre(DoubleNear(2.0 / 3, 1e-6)));
  EXPECT_THAT(fed.predict(0, 2), ElementsAre(1, 2));
  EXPECT_THAT(fed.probabilities(), ElementsAre(DoubleNear(.25, 1e-6), DoubleNear(1.0 / 12, 1e-6)));

  Fed late(predictor("activation-matrix", {{"after", "2"}}), test::decoder_info(3, 3, 1));
  for (int request = 0; request < 2; ++request) {
    late.begin(true);
    late.see(0, {0});
    EXPECT_THAT(late.predict(0, 2), IsEmpty());
    late.see(1, {1});
    EXPECT_EQ(late.predict(1, 2), request == 0 ? std::vector<ExpertKey>{} : std::vector<ExpertKey>{2});
    late.see(2, {2});
  }
}

/// Of an oracle's guesses for a layer of 64 experts, of which `activated` are: of those activated the share
/// that is named, and how many are named.
std::pair<double, double> quality(const Chosen<PredictorEntry>& part, int distance, int activated) {
  constexpr int layers = 6, steps = 4000;
  test::ListSource source(test::decoder_info(layers, 64, activated));
  const ExpertMap map(source.info());
  std::vector<std::uint16_t> ids;
  for (int layer = 0; layer < layers; ++layer) {
    for (int i = 0; i < activated; ++i) ids.push_back(static_cast<std::uint16_t>((7 * i + layer) % 64));
  }
  source.add(trace::Phase::decode, 1, ids, true);
  trace::Step step;
  source.next(step);
  StepRouting routing(map);
  routing.load(step);
  const auto made = part->make(part.parameters(), map);
  auto& oracle = dynamic_cast<Oracle&>(*made);
  std::int64_t right = 0, named = 0;
  for (int i = 0; i < steps; ++i) {
    made->begin_pass(trace::Phase::decode, false);
    oracle.show(routing, nullptr);
    const std::span<const ExpertKey> truth = routing.activated(distance);
    std::vector<ExpertKey> keys;
    for (const ExpertKey key : made->predict(0, distance)) {
      EXPECT_EQ(std::count(keys.begin(), keys.end(), key), 0) << "named twice";
      keys.push_back(key);
      right += std::count(truth.begin(), truth.end(), key);
    }
    named += static_cast<std::int64_t>(keys.size());
  }
  return {static_cast<double>(right) / (steps * activated), static_cast<double>(named) / steps};
}

// 4,000 x 4 draws: a standard deviation is at most .004.
TEST(GateReuse, LosesRecallWithEveryLayer) {
  const auto part = predictor("gate-reuse", {{"recall", "0.9"}, {"recall_loss", "0.1"}});
  for (const int distance : {1, 3, 5}) {
    const auto [recall, named] = quality(part, distance, 4);
    EXPECT_NEAR(recall, 0.9 - 0.1 * (distance - 1), 0.016) << distance;
    EXPECT_EQ(named, 4);
  }
}

// More than are activated: the others are wrong. Fewer: only so many are looked at.
TEST(GateReuse, NamesAsManyAsItIsTold) {
  const auto more = quality(predictor("gate-reuse", {{"recall", "0.75"}, {"guesses", "12"}}), 1, 4);
  EXPECT_NEAR(more.first, 0.75, 0.016);
  EXPECT_EQ(more.second, 12);
  const auto fewer = quality(predictor("gate-reuse", {{"recall", "1"}, {"guesses", "1"}}), 1, 4);
  EXPECT_EQ(fewer.first, 0.25);
  EXPECT_EQ(fewer.second, 1);
}

// What stands in an expert's place is another that the token does not have: as many, each once.
TEST(GuessedRouting, ReplacesWhatItGetsWrong) {
  test::ListSource source(test::decoder_info(2, 8, 3));
  source.add(trace::Phase::decode, 2, {0, 1, 2, 5, 6, 7, 3, 4, trace::no_expert, 0, 2, 4}, true);
  trace::Step step;
  source.next(step);
  const ExpertMap map(source.info());
  GuessedRouting right(1, 1, map), wrong(0, 1, map);
  EXPECT_TRUE(std::equal(step.experts.begin(), step.experts.end(), right.guess(step).experts.begin()));
  for (int again = 0; again < 20; ++again) {
    const std::span<const std::uint16_t> guessed = wrong.guess(step).experts;
    ASSERT_EQ(guessed.size(), step.experts.size());
    for (std::size_t row = 0; row < guessed.size(); row += 3) {
      for (std::size_t i = row; i < row + 3; ++i) {
        EXPECT_EQ(guessed[i] == trace::no_expert, step.experts[i] == trace::no_expert);
        if (guessed[i] == trace::no_expert) continue;
        EXPECT_NE(guessed[i], step.experts[i]);
        EXPECT_LT(guessed[i], 8);
        EXPECT_EQ(std::count(guessed.begin() + static_cast<std::ptrdiff_t>(row),
                             guessed.begin() + static_cast<std::ptrdiff_t>(row + 3), guessed[i]),
                  1);
      }
    }
  }
}

/// Share of the activated experts that were named, on the recorded OLMoE tokens 150 to 298.
double recall_on_olmoe(const Chosen<PredictorEntry>& part, int distance) {
  const std::filesystem::path database =
      std::filesystem::temp_directory_path() / ("pregate-" + std::to_string(getpid()) + "-predictors.db");
  const auto recording = test::shared_data() / "traces/olmoe-1b-7b/trace_olmoe_299.jsonl";
  trace::import_trace({recording.string()}, database.string(), {.overwrite = true});
  const auto source = trace::open_trace(database.string());
  const ExpertMap map(source->info());
  const auto made = part->make(part.parameters(), map);
  StepRouting routing(map);
  trace::Step step;
  std::int64_t right = 0, activated = 0, number = 0;
  for (; source->next(step); ++number) {
    routing.load(step);
    made->begin_pass(step.phase, step.first_of_request);
    const int layers = map.ordinals(step.stack).second;
    if (distance == 0) {
      for (int layer = 0; layer < layers && number >= 150; ++layer) {
        const std::span<const ExpertKey> truth = routing.activated(layer);
        activated += static_cast<std::int64_t>(truth.size());
        for (const ExpertKey key : made->predict(-1, layer))
          right += std::count(truth.begin(), truth.end(), key);
      }
    }
    for (int layer = 0; layer < layers; ++layer) {
      made->observe(layer, routing.activated(layer), routing.tokens(layer));
      if (distance == 0 || layer + distance >= layers) continue;
      const std::span<const ExpertKey> named = made->predict(layer, layer + distance);
      if (number < 150) continue;
      const std::span<const ExpertKey> truth = routing.activated(layer + distance);
      activated += static_cast<std::int64_t>(truth.size());
      for (const ExpertKey key : named) right += std::count(truth.begin(), truth.end(), key);
    }
  }
  EXPECT_EQ(number, 299);
  std::filesystem::remove(database);
  return static_cast<double>(right) / static_cast<double>(activated);
}

// An independent count (golden/predictors.csv), trained on tokens 0 to 149.
TEST(PredictorsOnRecordedRouting, HaveTheRecallOfAnIndependentCount) {
  PREGATE_NEEDS_SHARED_DATA();
  constexpr double gate = 0.001;
  EXPECT_NEAR(recall_on_olmoe(predictor("previous-token"), 0), 0.4593, gate);
  const auto table = [](const char* guesses) {
    return predictor("table", {{"learns", "150"}, {"guesses", guesses}});
  };
  EXPECT_NEAR(recall_on_olmoe(table("8"), 1), 0.5193, gate);
  EXPECT_NEAR(recall_on_olmoe(table("16"), 1), 0.6871, gate);
  EXPECT_NEAR(recall_on_olmoe(table("8"), 2), 0.5095, gate);
  EXPECT_NEAR(recall_on_olmoe(table("8"), 3), 0.4986, gate);
}

}  // namespace
}  // namespace pregate::sim
