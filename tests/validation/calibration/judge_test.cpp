// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/support/one_gpu.hpp"
#include "validation/calibration/effective_times.hpp"
#include "validation/calibration/ladder_report.hpp"
#include "validation/calibration/primitives.hpp"
#include "validation/calibration/round_means.hpp"

namespace pregate::validation {
namespace {

constexpr LadderGates gates{
    .primitive_mape = 15, .block_mape = 10, .tokens_mape = 10, .order_share = 95, .tellable = 2};

LadderRow row(int tier, const std::string& what, double predicted, double measured, double spread = 1) {
  return {tier, what, tier == 3 ? "tokens/s" : "ms", predicted, measured, spread, spread <= 10};
}

Verdict verdict_of(const std::vector<LadderRow>& rows, int tier) {
  for (const TierResult& result : judge({}, rows, {}, gates)) {
    if (result.tier == tier) return result.verdict;
  }
  return Verdict::undecidable;
}

TEST(Judge, MeanAbsoluteErrorDecides) {
  EXPECT_EQ(verdict_of({row(2, "a", 109, 100), row(2, "b", 89, 100)}, 2), Verdict::passed);  // 9 and 11
  EXPECT_EQ(verdict_of({row(2, "a", 109, 100), row(2, "b", 88.9, 100)}, 2), Verdict::failed);
  EXPECT_EQ(verdict_of({}, 2), Verdict::undecidable);
}

TEST(Judge, NoisyRowsNeitherPassNorFail) {
  const std::vector<LadderRow> rows{row(2, "a", 105, 100), row(2, "b", 300, 100, 40)};
  const TierResult tier = judge({}, rows, {}, gates)[2];
  EXPECT_EQ(tier.rows, 1);
  EXPECT_EQ(tier.undecidable, 1);
  EXPECT_EQ(tier.verdict, Verdict::passed);
  EXPECT_EQ(verdict_of({row(2, "a", 105, 100), row(2, "b", 1, 1, 40), row(2, "c", 1, 1, 40)}, 2),
            Verdict::undecidable);  // most of it says nothing
  EXPECT_EQ(verdict_of({row(2, "a", 150, 100), row(2, "b", 1, 1, 40), row(2, "c", 1, 1, 40)}, 2),
            Verdict::failed);
}

TEST(Judge, TierZeroIsExact) {
  const ExactRow good{"a", 10, true, true, true};
  ExactRow bad = good;
  bad.same_bytes = false;
  EXPECT_EQ(judge({good, good}, {}, {}, gates)[0].verdict, Verdict::passed);
  EXPECT_EQ(judge({good, bad}, {}, {}, gates)[0].verdict, Verdict::failed);
  EXPECT_EQ(judge({}, {}, {}, gates)[0].verdict, Verdict::undecidable);
}

TEST(Judge, OrderCountsPairsThatCanBeToldApart) {
  std::vector<GridPoint> grid(3);
  grid[0].name = "a", grid[1].name = "b", grid[2].name = "c";
  for (GridPoint& point : grid) point.workload = "w";
  const auto order = [&](const std::vector<LadderRow>& rows) { return judge({}, rows, grid, gates)[4]; };
  const TierResult right = order({row(3, "a", 10, 11), row(3, "b", 20, 18), row(3, "c", 30, 31)});
  EXPECT_EQ(right.rows, 3);
  EXPECT_EQ(right.verdict, Verdict::passed);
  const TierResult wrong = order({row(3, "a", 20, 11), row(3, "b", 10, 18), row(3, "c", 30, 31)});
  EXPECT_NEAR(wrong.figure, 200.0 / 3, 1e-9);
  EXPECT_EQ(wrong.verdict, Verdict::failed);
  // 100 against 102 with spreads of 2 and 2: nobody can say which is faster.
  const TierResult close = order({row(3, "a", 1, 100, 2), row(3, "b", 2, 102, 2)});
  EXPECT_EQ(close.rows, 0);
  EXPECT_EQ(close.undecidable, 1);
  EXPECT_EQ(close.verdict, Verdict::undecidable);
  grid[1].workload = "other";  // designs are compared on one workload
  EXPECT_EQ(order({row(3, "a", 20, 11), row(3, "b", 10, 18)}).rows, 0);
}

// A burst that slows one of three probes down moves no figure; one that differs between all of them by more
// than tier 1's 15 % leaves the row open, as does one that spreads within most probes.
TEST(Judge, ProbesOfOneRunAreMerged) {
  const auto merged = [](double first, double second, double third, double spread = 1) {
    return merge_probes({{row(1, "a", 100, first, spread)},
                         {row(1, "a", 100, second)},
                         {row(1, "a", 100, third, spread)}})[0];
  };
  EXPECT_DOUBLE_EQ(merged(101, 120, 99).measured, 101);
  EXPECT_DOUBLE_EQ(merged(101, 120, 99).spread, 100 * (120.0 - 99) / 2 / 101);
  EXPECT_TRUE(merged(101, 120, 99).decidable);
  EXPECT_FALSE(merged(101, 140, 99).decidable);
  EXPECT_FALSE(merged(100, 100, 100, 16).decidable);
  EXPECT_DOUBLE_EQ(merged(100, 100, 100, 16).spread, 16);
  // Memory ran out in the second probe.
  EXPECT_DOUBLE_EQ(merge_probes({{row(1, "a", 100, 90)}, {}})[0].measured, 90);
  EXPECT_TRUE(merge_probes({{}}).empty());
}

// The median of the signed errors decides: one operation far off is not the machine's speed.
TEST(Judge, AMachineThatHasChangedIsNoted) {
  std::vector<LadderRow> rows{row(1, "a", 94, 100), row(1, "b", 93, 100), row(1, "c", 130, 100)};
  EXPECT_THAT(drift_note(rows), testing::HasSubstr("at least 6 % too short"));
  rows[1] = row(1, "b", 96, 100);
  EXPECT_EQ(drift_note(rows), "");
  EXPECT_THAT(drift_note({row(1, "a", 120, 100)}), testing::HasSubstr("20 % too long"));
  EXPECT_EQ(drift_note({row(1, "a", 120, 100, 40), row(2, "b", 200, 100)}), "");  // undecidable; another tier
  EXPECT_EQ(drift_note({}), "");
}

TEST(Judge, GatesComeFromTheCommittedFile) {
  const LadderGates committed = ladder_gates();
  EXPECT_EQ(committed.block_mape, 10);
  EXPECT_EQ(committed.tokens_mape, 10);
  EXPECT_EQ(committed.order_share, 95);
  EXPECT_EQ(committed.tellable, 2);
}

TEST(Ladder, ReportsNameTheFailedTierAndEscapeNames) {
  LadderResult result;
  result.model = "<b>model</b>";
  result.rows = {row(2, "a & b", 150, 100)};
  result.tiers = judge({}, result.rows, {}, gates);
  EXPECT_TRUE(result.failed());
  EXPECT_THAT(ladder_table(result), testing::HasSubstr("FAILED: tier 2, block latency"));
  EXPECT_THAT(ladder_html(result), testing::HasSubstr("&lt;b&gt;model"));
  EXPECT_THAT(ladder_html(result), testing::Not(testing::HasSubstr("<b>model")));
  EXPECT_THAT(ladder_json(result), testing::HasSubstr("\"verdict\": \"FAIL\""));
}

// A machine on which repeats differ more than the gate shows nothing: that is no success, and no figure.
TEST(Ladder, MostlyUndecidableIsSaidAndIsNoZero) {
  LadderResult result;
  result.rows = {row(2, "a", 105, 100, 40), row(2, "b", 300, 100, 40), row(3, "a", 105, 100, 40),
                 row(3, "b", 105, 100)};
  result.tiers = judge({}, result.rows, {}, gates);
  EXPECT_FALSE(result.failed());
  EXPECT_TRUE(result.tiers[2].is_mostly_undecidable());
  EXPECT_FALSE(result.tiers[3].is_mostly_undecidable()) << "half is not more than half";
  EXPECT_TRUE(result.undecided());
  EXPECT_THAT(ladder_html(result), testing::Not(testing::HasSubstr(">0.0</td>")));
  EXPECT_THAT(ladder_html(result),
              testing::HasSubstr(
                  "MAPE &lt;= 10 %</td><td class=\"n\">-</td><td class=\"n\">0</td><td class=\"n\">2</td>"));
  EXPECT_THAT(ladder_json(result), testing::HasSubstr("\"figure\": null"));
  EXPECT_THAT(ladder_table(result), testing::HasSubstr("UNDECIDED: tier 2, block latency"));
  EXPECT_THAT(ladder_table(result), testing::HasSubstr("2 of 2 rows"));
  // Two designs that are too alike to be told apart are no fault of the machine.
  TierResult order{3, "order", 0, 0, 3, Verdict::undecidable};
  order.counts_pairs = true;
  EXPECT_FALSE(order.is_mostly_undecidable());
}

// Operations of points within their gates explain nothing: they are in the files, not on the terminal.
TEST(Ladder, TellsWhichOperationsMakeARunWrong) {
  LadderResult result;
  result.operations = {{"good", "experts", 7, 10, 10, false}, {"bad", "fetch", 3, 50, 200, true}};
  EXPECT_THAT(ladder_table(result), testing::ContainsRegex("bad +fetch +3 +50.0 +200 +-75.0 %"));
  EXPECT_THAT(ladder_table(result), testing::Not(testing::HasSubstr("good")));
  for (const std::string& text : {ladder_json(result), ladder_html(result)}) {
    EXPECT_THAT(text, testing::HasSubstr("good"));
    EXPECT_THAT(text, testing::HasSubstr("bad"));
  }
  result.operations.pop_back();
  EXPECT_THAT(ladder_table(result), testing::Not(testing::HasSubstr("by operation")));
}

// compute 0..10 and 12..20, a copy 0..15 that the second operation waits for.
TEST(EffectiveTimes, FromWhenItCouldStartToItsEnd) {
  sim::Schedule schedule;
  schedule.platform = sim::one_gpu::platform();
  const auto add = [&](sim::StreamId stream, std::vector<sim::OpId> after, std::int64_t step) {
    sim::Operation operation;
    operation.stream = stream;
    operation.step = step;
    schedule.add(operation, after);
  };
  add(sim::one_gpu::compute, {}, 0);
  add(sim::one_gpu::h2d, {}, 0);
  add(sim::one_gpu::compute, {1}, 0);
  add(sim::one_gpu::compute, {}, 1);
  const auto at = [](std::vector<std::int64_t> times) {
    std::vector<Picoseconds> all;
    for (const std::int64_t time : times) all.push_back({time});
    return all;
  };
  const sim::Timeline timeline{at({1, 2, 17, 22}), at({10, 15, 20, 30})};
  EXPECT_EQ(effective_times(schedule, timeline), at({10, 15, 5, 10}));
}

// The copies take 12 and 30 - 12 = 18 (the second could have started when the stream was free), the gate 4.
TEST(EffectiveTimes, MeansByKind) {
  sim::Schedule schedule;
  schedule.platform = sim::one_gpu::platform();
  sim::Operation copy;
  copy.kind = sim::OpKind::fetch;
  copy.stream = sim::one_gpu::h2d;
  sim::Operation gate;
  gate.kind = sim::OpKind::gate;
  schedule.add(copy, {});
  schedule.add(gate, {});
  schedule.add(copy, {});
  const auto us = [](std::int64_t value) { return Picoseconds{value * 1'000'000}; };
  const KindTimes times = mean_times(schedule, {{us(0), us(0), us(15)}, {us(12), us(4), us(30)}});
  const auto of = [](sim::OpKind kind) { return static_cast<std::size_t>(kind); };
  EXPECT_EQ(times.count[of(sim::OpKind::fetch)], 2);
  EXPECT_DOUBLE_EQ(times.mean_us[of(sim::OpKind::fetch)], (12.0 + 18) / 2);
  EXPECT_EQ(times.count[of(sim::OpKind::gate)], 1);
  EXPECT_DOUBLE_EQ(times.mean_us[of(sim::OpKind::gate)], 4);
  EXPECT_EQ(times.count[of(sim::OpKind::experts)], 0);
}

// A late operation moves its round's mean, and no other; a round without the operation does not count.
TEST(RoundMeans, OneForEachRound) {
  RoundMeans rounds;
  rounds.add(2, 10);
  rounds.add(0, 1);
  rounds.add(0, 3);
  rounds.add(2, 20);
  EXPECT_THAT(rounds.all(), testing::ElementsAre(2, 15));
  EXPECT_TRUE(RoundMeans().all().empty());
}

TEST(EffectiveTimes, MedianAndSpread) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(relative_spread({7}), 0);
  EXPECT_DOUBLE_EQ(relative_spread({1, 100, 3}), (100.0 - 1) / 2 / 3);  // too few for quartiles
  EXPECT_DOUBLE_EQ(relative_spread({1, 2, 3, 4, 5}), (4.0 - 2.0) / 2 / 3);
}

// By hand: of 8 values all are within the interval, as 2 x (1 + 8) / 2^8 > 5 %; of 9 the extremes are left
// out, 2 x (1 + 9) / 2^9 < 5 %, and no more, 2 x (1 + 9 + 36) / 2^9 > 5 %; of 12 two at each end.
TEST(EffectiveTimes, UncertaintyOfAMedian) {
  EXPECT_EQ(median_uncertainty({}), 0);
  EXPECT_EQ(median_uncertainty({7}), 0);
  EXPECT_DOUBLE_EQ(median_uncertainty({1, 2, 4}), 1.5 / 2);
  EXPECT_DOUBLE_EQ(median_uncertainty({1, 2, 3, 4, 5, 6, 7, 100}), 99.0 / 2 / 4.5);
  EXPECT_DOUBLE_EQ(median_uncertainty({1, 2, 3, 4, 5, 6, 7, 8, 100}), (8.0 - 2.0) / 2 / 5);
  EXPECT_DOUBLE_EQ(median_uncertainty({0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 50, 100}), (10.0 - 3.0) / 2 / 6.5);
}

}  // namespace
}  // namespace pregate::validation
