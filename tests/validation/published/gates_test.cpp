// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What decides pass and fail.
#include <gtest/gtest.h>

#include "validation/published/result.hpp"

namespace pregate::validation {
namespace {

Row row(const char* metric, double published, double predicted, Role role = Role::predict,
        bool gated = true) {
  Row r;
  r.series = "s";
  r.metric = metric;
  r.subject = "m";
  r.role = role;
  r.gated = gated;
  r.published = published;
  r.predicted = predicted;
  return r;
}

GateResult one(const Gate& gate, std::vector<Row> rows) {
  CaseResult result;
  result.rows = std::move(rows);
  judge({gate}, result);
  return result.gates.front();
}

TEST(Gates, MeanAndWorstCountPredictedGatedRowsOnly) {
  const std::vector<Row> rows = {row("t", 100, 110), row("t", 200, 190),
                                 row("t", 100, 900, Role::calibrate),       // fitted: says nothing
                                 row("t", 100, 900, Role::predict, false),  // shown only
                                 row("u", 100, 900)};                       // another metric
  const GateResult mean = one({"t", Measure::mape, 7.5, ""}, rows);
  EXPECT_EQ(mean.rows, 2);
  EXPECT_NEAR(mean.value, 7.5, 1e-9);
  EXPECT_FALSE(one({"t", Measure::mape, 7.49, ""}, rows).passed());
  EXPECT_TRUE(one({"t", Measure::worst, 10.01, ""}, rows).passed());
  EXPECT_FALSE(one({"t", Measure::worst, 9.99, ""}, rows).passed());
}

// Errors of +4 % and -1 % leave a bias of 1.5 %, of another series +40 %.
// 100 against 109 is in the wrong order, but closer than 10 %; 100 against 111 is not.
TEST(Gates, OrderMayAskForFiguresThatAreApart) {
  const auto wrong = [](double other, double apart) {
    Row a = row("t", 100, 5), b = row("t", other, 4);
    a.group = b.group = "one box";
    return one({"t", Measure::order, 0, "", "", apart}, {a, b});
  };
  EXPECT_EQ(wrong(109, 0).value, 1);
  EXPECT_FALSE(wrong(109, 10).applied());
  EXPECT_EQ(wrong(111, 10).value, 1);
}

TEST(Gates, BiasIsTheMeanSignedErrorOfASeries) {
  Row other = row("t", 100, 140);
  other.series = "other";
  const std::vector<Row> rows = {row("t", 100, 104), row("t", 200, 198), other};
  const GateResult bias = one({"t", Measure::bias, 1.51, "", "s"}, rows);
  EXPECT_EQ(bias.rows, 2);
  EXPECT_NEAR(bias.value, 1.5, 1e-9);
  EXPECT_TRUE(bias.passed());
  EXPECT_FALSE(one({"t", Measure::bias, 1.49, "", "s"}, rows).passed());
  EXPECT_FALSE(one({"t", Measure::bias, 3, ""}, rows).passed());
  EXPECT_TRUE(one({"t", Measure::bias, 1.01, "", "s"}, {row("t", 100, 99)}).passed());  // either sign
}

TEST(Gates, AGateWithoutRowsNeitherPassesNorFails) {
  CaseResult result;
  result.rows = {row("t", 100, 900, Role::calibrate)};
  judge({{"t", Measure::mape, 5, ""}}, result);
  EXPECT_FALSE(result.gates[0].passed());
  EXPECT_FALSE(result.gates[0].applied());
  EXPECT_FALSE(result.failed());
}

TEST(Gates, ANumberThatIsNoneFails) {
  Row bad = row("t", 0, 1);  // error is infinite
  EXPECT_FALSE(one({"t", Measure::mape, 1000, ""}, {bad}).passed());
  EXPECT_FALSE(one({"t", Measure::worst, 1000, ""}, {bad}).passed());
  bad.predicted = 0;  // not a number
  EXPECT_FALSE(one({"t", Measure::mape, 1000, ""}, {bad}).passed());
  EXPECT_FALSE(one({"t", Measure::worst, 1000, ""}, {row("t", 1, 1), bad, row("t", 1, 1)}).passed());
}

TEST(Gates, OrderCountsPairsOfAGroup) {
  std::vector<Row> rows = {row("t", 1, 10), row("t", 2, 30), row("t", 3, 20), row("t", 3, 99)};
  for (Row& r : rows) r.group = "g";
  GateResult order = one({"t", Measure::order, 0, ""}, rows);
  EXPECT_EQ(order.rows, 5);  // of six pairs one is equal in the source
  EXPECT_EQ(order.value, 1);
  EXPECT_FALSE(order.passed());
  rows[2].predicted = 30;  // a tie is not the published order either
  EXPECT_EQ(one({"t", Measure::order, 0, ""}, rows).value, 1);
  rows[2].predicted = 31;
  EXPECT_TRUE(one({"t", Measure::order, 0, ""}, rows).passed());
  rows[2].predicted = 20;
  rows[2].group = "another";  // not compared
  EXPECT_TRUE(one({"t", Measure::order, 0, ""}, rows).passed());
}

TEST(Gates, ExactAndPoints) {
  Row equal = row("b", 18874368, 18874368), off = row("b", 18874368, 18874369);
  equal.comparison = off.comparison = Comparison::exact;
  EXPECT_TRUE(one({"b", Measure::exact, 0, ""}, {equal}).passed());
  EXPECT_FALSE(one({"b", Measure::exact, 0, ""}, {equal, off}).passed());
  Row points = row("h", 0, -0.11);  // a published 0 % is a number like any other here
  points.comparison = Comparison::points;
  EXPECT_FALSE(one({"h", Measure::worst_points, 0.1, ""}, {points}).passed());
  EXPECT_TRUE(one({"h", Measure::worst_points, 0.12, ""}, {points}).passed());
}

TEST(Gates, AnAggregateHoldsWhenItRoundsToThePrintedOne) {
  Aggregate aggregate;
  aggregate.paper = 1.7;
  aggregate.digits = 1;
  aggregate.from_published = 1.749;
  EXPECT_TRUE(aggregate.holds());
  aggregate.from_published = 1.751;
  EXPECT_FALSE(aggregate.holds());
  aggregate.paper = 42;
  aggregate.digits = 0;
  aggregate.from_published = 41.5;
  EXPECT_TRUE(aggregate.holds());
  aggregate.from_published = 42.51;
  EXPECT_FALSE(aggregate.holds());
}

}  // namespace
}  // namespace pregate::validation
