// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Tables of measured rates: what they may hold, and that everything else is refused with its line.
#include "validation/rates/rates_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/error_of.hpp"

namespace pregate::validation {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::vector<MeasuredRate> parse(const std::string& text) {
  return parse_rates(text, "r.csv", {"model", "policy", "prompt-chunk"});
}

TEST(RatesTable, SettingsPairsAndQuotes) {
  const auto rows = parse(
      "\xEF\xBB\xBF# mine\r\nmodel,set,metric,value,note\r\n\r\n"
      "m , policy.a=1; policy.b=2,tpot_ms,36.7,\"said \"\"twice\"\", so\"\r\n,,tokens_per_s,1e2,\n");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].where, "r.csv:4");
  EXPECT_THAT(rows[0].settings, ElementsAre(Pair("model", "m")));
  EXPECT_THAT(rows[0].set, ElementsAre("policy.a=1", "policy.b=2"));
  EXPECT_EQ(rows[0].metric, RateMetric::tpot_ms);
  EXPECT_EQ(rows[0].value, 36.7);
  EXPECT_EQ(rows[0].note, "said \"twice\", so");
  EXPECT_TRUE(rows[1].settings.empty()) << "an empty cell is an option that is not given";
  EXPECT_EQ(rows[1].value, 100);
}

TEST(RatesTable, SaysWhatIsWrongAndWhere) {
  const std::string head = "model,metric,value\n";
  const struct {
    std::string text;
    const char* says;
  } faults[] = {
      {"", "no rows"},
      {head, "no rows"},
      {"model,metric\nm,tpot_ms\n", "'value' is missing"},
      {"model,metric,value,prompt_chunk\n", "prompt-chunk"},
      {"machine,metric,value\n", "--machine"},
      {"model,model,metric,value\n", "twice"},
      {"model;metric;value\nm;tpot_ms;3\n", "commas"},
      {head + "m,tpot_ms\n", "r.csv:2: 2 cells, but the header has 3"},
      {head + "m,tpot_ms,3\nm,tpot,3\n", "r.csv:3: metric: 'tpot'"},
      {head + "m,tpot_ms,\"3,5\"\n", "not a number above 0"},
      {head + "m,tpot_ms,0\n", "not a number above 0"},
      {head + "m,tpot_ms,nan\n", "not a number above 0"},
      {head + "m,tpot_ms,1e400\n", "not a number above 0"},
      {head + "\"m,tpot_ms,3\n", "does not end"},
      {head + "m\x1b[2J,tpot_ms,3\n", "control character"},
      {head + std::string(5000, 'm') + ",tpot_ms,3\n", "longer than 4096"},
      {"metric,value,set\ntpot_ms,3,a=1;;b=2\n", "empty pair"},
      {std::string(100, ','), "more than 64 columns"},
  };
  for (const auto& fault : faults) {
    const std::string message = error_of([&] { (void)parse(fault.text); });
    EXPECT_THAT(message, HasSubstr(fault.says));
    EXPECT_THAT(message, HasSubstr("r.csv"));
  }
  std::string many = head;
  for (int i = 0; i < 1001; ++i) many += "m,tpot_ms,3\n";
  EXPECT_THAT(error_of([&] { (void)parse(many); }), HasSubstr("more than 100 rows"));
}

}  // namespace
}  // namespace pregate::validation
