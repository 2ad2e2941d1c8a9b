// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// How sure a rate is: said once, with the same figures, in the table, JSON, CSV and the result database.
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class ConfidenceOfRuns : public ProgramTest {
 protected:
  /// Runs `compare` with `more`; its table is `printed`.
  Json compare(Words more) {
    Words words{"compare", "--requests", "1", "--json", "r.json"};
    words.insert(words.end(), more.begin(), more.end());
    printed = succeed(words);
    return Json::parse(read("r.json"));
  }
  std::string printed;
};

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_F(ConfidenceOfRuns, IsTheSameInEveryOutputAndAbsentWhereNothingRan) {
  // GPU-only of Switch-Large-128 does not fit, as published.
  const Json document = compare({"--model", "switch-large-128", "--profile", "switch-large-128", "--machine",
                                 "a100-80g-fastertransformer", "--policy", "gpu-only,pre-gated", "--csv",
                                 "r.csv", "--store", "r.db"});
  const Json& lacking = document["results"][0];
  const Json& ran = document["results"][1];
  ASSERT_EQ(lacking["status"], "out-of-memory");
  EXPECT_FALSE(lacking.contains("confidence"));
  const Json& confidence = ran["confidence"];
  EXPECT_EQ(confidence["label"], "published-case");
  EXPECT_EQ(confidence["case"], "pregated-a100");
  EXPECT_EQ(confidence["mechanism"], "pre-gated");
  EXPECT_EQ(confidence["rows"], 8);
  const double low = confidence["tokens_per_s_range"][0], high = confidence["tokens_per_s_range"][1];
  EXPECT_LE(low, ran["tokens_per_s"].get<double>());
  EXPECT_GE(high, ran["tokens_per_s"].get<double>());
  // Decode's rate is another one than that with prefill, and its range is about itself.
  const double decode = ran["decode_tokens_per_s"], rate = ran["tokens_per_s"];
  ASSERT_GT(decode, 1.01 * rate);
  for (const std::size_t bound : {0U, 1U}) {
    const double of_decode = confidence["decode_tokens_per_s_range"][bound];
    EXPECT_NEAR(of_decode / decode, confidence["tokens_per_s_range"][bound].get<double>() / rate, 1e-9);
  }
  EXPECT_THAT(printed, HasSubstr(" decode tok/s; 8 published rates"));

  std::istringstream csv(read("r.csv"));
  std::string head, without, with;
  std::getline(csv, head);
  std::getline(csv, without);
  std::getline(csv, with);
  EXPECT_TRUE(
      head.ends_with(",confidence,tokens_per_s_low,tokens_per_s_high,decode_tokens_per_s_low,"
                     "decode_tokens_per_s_high"));
  // One comma stands inside the quotes of the trace's name.
  EXPECT_THAT(with, HasSubstr("\"profile switch-large-128 (generated, seed 1)\""));
  EXPECT_EQ(count(without, ","), count(head, ",") + 1);
  EXPECT_EQ(count(with, ","), count(head, ",") + 1);
  EXPECT_TRUE(without.ends_with(",,,,,"));
  const auto range = [&](const char* key) {
    return confidence[key][0].dump() + "," + confidence[key][1].dump();
  };
  EXPECT_TRUE(with.ends_with(",published-case," + range("tokens_per_s_range") + "," +
                             range("decode_tokens_per_s_range")));
  EXPECT_EQ(sql("r.db",
                "SELECT json_extract(json, '$.results[0].confidence.label') FROM results "
                "WHERE policy = 'pre-gated'"),
            "published-case");
  EXPECT_EQ(count(printed, "confidence: "), 1);
  EXPECT_THAT(printed, HasSubstr("\nconfidence: published case pregated-a100: "));
}

// One block for a reason that all policies share, another where one of them differs; no note repeats it.
TEST_F(ConfidenceOfRuns, IsSaidOnceForEachReason) {
  const Json estimates = compare({});
  EXPECT_EQ(count(printed, "confidence: "), 1);
  EXPECT_THAT(printed, HasSubstr("confidence: uncalibrated estimate: "));
  ASSERT_EQ(estimates["config"]["notes"].size(), 1U);
  EXPECT_THAT(estimates["config"]["notes"][0].get<std::string>(), HasSubstr("no --software is named"));
  for (const Json& result : estimates["results"]) EXPECT_EQ(result["confidence"]["label"], "uncalibrated");

  write(
      "chunked.toml",
      "description = \"d\"\nsource = \"s\"\n[placement]\nkind = \"none\"\n[lookahead]\nkind = \"pre-gate\"\n"
      "distance = 1\n[transfer]\nchunk = \"4 MiB\"\n");
  const Json mixed =
      compare({"--machine", "a100-80g-fastertransformer", "--policy", "pre-gated,./chunked.toml"});
  EXPECT_EQ(count(printed, "confidence: "), 2);
  EXPECT_EQ(mixed["results"][0]["confidence"]["label"], "published-case");
  EXPECT_EQ(mixed["results"][1]["confidence"]["label"], "uncalibrated");
}

TEST_F(ConfidenceOfRuns, IsLostByWhatTheUserChanges) {
  const Words machine{"--machine", "a100-80g-fastertransformer", "--policy", "on-demand"};
  const auto label = [&](Words more) {
    more.insert(more.begin(), machine.begin(), machine.end());
    return compare(more)["results"][0]["confidence"]["label"].get<std::string>();
  };
  EXPECT_EQ(label({}), "published-case");
  EXPECT_EQ(label({"--cache", "10%"}), "published-case") << "cached rows are published as well";
  EXPECT_EQ(label({"--set", "machine.overhead.step=1ms"}), "uncalibrated");
  EXPECT_THAT(printed, HasSubstr("--set machine.* changed the machine"));
  EXPECT_EQ(label({"--weights", "bf16"}), "uncalibrated");
  EXPECT_EQ(label({"--set", "model.d_model=1024"}), "uncalibrated");

  // A user's file of the same name and content, but for what it says it was fitted on.
  write("a100-80g-fastertransformer.toml",
        "description = \"d\"\nsource = \"s\"\nextends = \"a100-80g-fastertransformer\"\n"
        "calibration = \"fitted\"\ncalibration_source = \"my rows\"\n[overhead]\nstep = \"0 us\"\n"
        "[sources]\n\"overhead.step\" = \"guess\"\n");
  const Json own = compare({"--machine", "./a100-80g-fastertransformer.toml", "--policy", "on-demand"});
  EXPECT_EQ(own["config"]["machine"]["name"], "a100-80g-fastertransformer");
  EXPECT_EQ(own["results"][0]["confidence"]["label"], "uncalibrated");
}

}  // namespace
}  // namespace pregate::test
