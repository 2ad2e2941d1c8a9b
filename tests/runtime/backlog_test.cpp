// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a device says is left to do on its copy stream, asked by a part of a policy while it runs.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/policy/load_policy.hpp"
#include "tests/runtime/execute_checks.hpp"

namespace pregate::runtime::test {
namespace {

using cache::ExpertKey;

/// Of each layer the experts from the fourth on, which no token of the test activates.
class AllOthers final : public sim::Predictor {
 public:
  explicit AllOthers(const sim::ExpertMap& map) : map_(map) {}
  std::span<const ExpertKey> predict(int, int target) override {
    const sim::MoeLayer& layer = map_.layers()[static_cast<std::size_t>(target)];
    keys_.clear();
    for (int expert = 4; expert < layer.experts; ++expert)
      keys_.push_back(layer.first_key + static_cast<ExpertKey>(expert));
    return keys_;
  }

 private:
  const sim::ExpertMap& map_;
  std::vector<ExpertKey> keys_;
};

/// At a layer's gate: copies announced for it that had not ended before the backlog was asked for, and after.
struct Asked {
  std::ptrdiff_t before, after;
  Picoseconds left;
};

class Asking final : public sim::Prefetcher {
 public:
  explicit Asking(std::vector<Asked>& asked) : asked_(asked) {}
  [[nodiscard]] bool reaches(const sim::LayersAhead& ahead) const override {
    return ahead.has(ahead.ordinal + 1);
  }
  void gate_known(const sim::Moment& moment, std::span<const ExpertKey>,
                  sim::Announcements& announced) override {
    const auto unfinished = [&] {
      const std::span<const ExpertKey> fetched = announced.fetched(moment.ordinal);
      return std::count_if(fetched.begin(), fetched.end(),
                           [&](ExpertKey key) { return !announced.has_arrived(key); });
    };
    if (announced.fetched(moment.ordinal).empty()) return;
    const std::ptrdiff_t before = unfinished();
    const Picoseconds left = moment.backlog(moment.fetches);
    asked_.push_back({before, unfinished(), left});
  }
  void look_ahead(const sim::Moment& moment, const sim::LayersAhead&, sim::Predictor& predictor,
                  sim::Announcements& announced) override {
    announced.want(moment.ordinal + 1, predictor.predict(moment.ordinal, moment.ordinal + 1));
  }

 private:
  std::vector<Asked>& asked_;
};

// Copies go one after the other: of two that have not ended one has not begun, and the mean of those that
// have is left of it. Where all have ended nothing is. Of a layer's sixteen experts twelve are announced in
// vain, which takes longer than the layer; the next one's gate does not wait for them.
TEST(LiveBacklog, IsWhatHasNotEnded) {
  ModelSpec model = pregate::test::tiny_model(3, 16, 1);
  model.stacks[0].feed_forwards[0].moe.ffn_dim = 4096;  // 3 MB an expert
  ListSource source(pregate::test::decoder_info(3, 16, 1));
  for (std::uint16_t step = 0; step < 6; ++step) {
    const auto expert = static_cast<std::uint16_t>(step % 4);
    source.add(trace::Phase::decode, 1, {expert, expert, expert}, step == 0);
  }
  std::vector<Asked> asked;
  sim::PredictorEntry others;
  others.name = "all-others";
  others.make = [](const std::any&, const sim::ExpertMap& map) { return std::make_unique<AllOthers>(map); };
  others.most_guesses = [](const std::any&, const sim::ExpertMap&, const sim::TraceScan&) { return 12; };
  sim::PrefetcherEntry asking;
  asking.name = "asking";
  asking.make = [&asked](const std::any&, int) { return std::make_unique<Asking>(asked); };
  asking.needs_clock = true;
  PolicySpec policy = load_policy("on-demand");
  policy.lookahead.predictor = others;
  policy.prefetch.prefetcher = asking;

  const LiveRun live = run_live("host", model, policy, source);
  ASSERT_EQ(asked.size(), 2U * 6) << "two layers of each step are announced for";
  int some_left = 0;
  for (const Asked& each : asked) {
    EXPECT_LE(each.after, each.before);
    if (each.before == 0) {
      EXPECT_EQ(each.left, Picoseconds{});
    }
    if (each.after >= 2) {
      EXPECT_GT(each.left, Picoseconds{});
      ++some_left;
    }
  }
  EXPECT_GT(some_left, 0) << "no gate came while copies were under way";
  // Replayed, the planner asks the same and is told the same.
  ASSERT_TRUE(live.execution.answers);
  std::vector<Picoseconds> told;
  for (const Answers::Answer& answer : live.execution.answers->all) {
    if (answer.about == Answers::About::backlog) told.push_back({answer.value});
  }
  ASSERT_EQ(told.size(), asked.size());
  for (std::size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i], asked[i].left);
}

}  // namespace
}  // namespace pregate::runtime::test
