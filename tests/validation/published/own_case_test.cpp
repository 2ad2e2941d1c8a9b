// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A case of the user's own, of each kind, as its users run it; and what is refused in one.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program_test.hpp"

namespace pregate::test {
namespace {

using testing::HasSubstr;

/// The n-th block of TOML of the page about cases of one's own.
std::string listed(std::size_t n) {
  const std::string text =
      content_of(std::filesystem::path(PREGATE_SOURCE_DIR) / "docs" / "validation" / "your-own-case.md");
  const std::string begin = "```toml\n";
  std::size_t at = text.find(begin);
  for (; n > 0; --n) at = text.find(begin, at + 1);
  at += begin.size();
  return text.substr(at, text.find("```", at) - at);
}

std::string changed(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) ADD_FAILURE() << "nothing to change: " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// What every case has before its own part.
std::string head(const std::string& kind, const std::string& metric, const std::string& top) {
  return "title = \"t\"\nkind = \"" + kind +
         "\"\nhardware = \"a/b\"\nsoftware = \"s/t\"\nmodel = \"words/with a slash\"\nworkload = \"w\"\n" +
         top +
         "\n[source]\npaper = \"\"\ntable = \"\"\nrepository = \"\"\ncommit = \"\"\nlicence = \"\"\n"
         "[metrics]\n" +
         metric + " = \"as it says\"\n[[gate]]\nmetric = \"" + metric +
         "\"\nmeasure = \"worst\"\nlimit = 1000\nreason = \"r\"\n";
}

class OwnCase : public ProgramTest {
 protected:
  OwnCase() {
    std::filesystem::create_directories(path("box"));
    write("box/my-box.toml", listed(0));
    write("box/mine.toml", listed(1));
  }
  void expect_case_refused(const std::string& text, const std::vector<std::string>& mentions) const {
    write("box/bad.toml", text);
    expect_refused({"validate", "published", "--case", path("box/bad.toml")}, mentions);
  }
};

// The row that fixes the link is met, the other one predicted; both on the machine that lies beside the case,
// from whatever folder the program is started.
TEST_F(OwnCase, TheExampleOfThePageHolds) {
  const Outcome outcome =
      run({"validate", "published", "--case", path("box/mine.toml"), "--json", path("r.json")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("1 gates pass, 0 fail, 0 not run"));
  const auto rows = nlohmann::json::parse(read("r.json"))["cases"][0]["rows"];
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_NEAR(rows[0]["predicted"].get<double>(), 1.95, 0.002);
  write("box/mine.toml", changed(listed(1), "published = 4.3", "published = 43"));
  EXPECT_EQ(run({"validate", "published", "--case", path("box/mine.toml")}).exit_code, 1) << "the gate fails";
}

TEST_F(OwnCase, EveryKindRuns) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"copies", head("copies", "copy_us", "") +
                     "[[series]]\nname = \"c\"\nform = \"formula\"\nfit = [\"1 KiB\", \"1 MiB\"]\nrows = [\n"
                     "{ bytes = 1024, gb_per_s = 0.1 }, { bytes = 65536, gb_per_s = 5 },\n"
                     "{ bytes = 1048576, gb_per_s = 20 } ]\n"},
      {"kernels",
       head("kernels", "calibrated_us", "model_name = \"my-model.toml\"\nmachine = \"my-box.toml\"") +
           "[[series]]\nname = \"k\"\nquantity = \"experts\"\nentries_per_token = 1\nrows = [\n"
           "{ tokens = 1, activated = 1, us = 50 }, { tokens = 8, activated = 1, us = 60 } ]\n"},
      {"offload",
       head("offload", "tokens_per_s", "machine = \"my-box.toml\"") +
           "[[run]]\nname = \"r\"\nrouting = \"forced\"\nactive = 1\ndecode_steps = 8\n"
           "[[series]]\nfigure = \"f\"\nmetric = \"tokens_per_s\"\nrows = [{ model = \"my-model.toml\","
           " design = \"./my-policy.toml\", workload = \"r\", published = 100 }]\n"},
      {"cpu-products",
       head("cpu-products", "tokens_per_s", "software_name = \"llama-cpp\"") +
           "[[host]]\nname = \"h\"\ncpu = \"c\"\ncores = 4\nmemory = \"16 GiB\"\nmemory_bandwidth = \"20 "
           "GB/s\"\n"
           "rate = \"1 TFLOP/s\"\n[[dense_model]]\nname = \"m\"\nweights = 7\nhead = 0.5\nlayers = 32\n"
           "[[constant]]\nname = \"k\"\nunit = \"\"\nmeaning = \"m\"\nsets = \"super_blocks\"\nstart = 0.5\n"
           "least = 0.1\nmost = 1\n"
           "[[series]]\nname = \"s\"\nmetric = \"tokens_per_s\"\nhost = \"h\"\nmodel = \"m\"\nrole = "
           "\"calibrate\"\n"
           "rows = [{ format = \"q4_k\", head = \"q6_k\", threads = 1, published = 3 }]\n"
           "[[series]]\nname = \"t\"\nmetric = \"tokens_per_s\"\nhost = \"h\"\nmodel = \"m\"\nrole = "
           "\"predict\"\n"
           "rows = [{ format = \"q6_k\", head = \"q6_k\", threads = 4, tokens = 64, published = 9 }]\n"},
      {"cache-replay", head("cache-replay", "lru_hit_percent", "trace = \"routing.csv\"") +
                           "[[policy]]\npublished = \"lru\"\neviction = \"lru\"\n"
                           "[[rows]]\nbudget_mib = 64\npolicy = \"lru\"\nall = 50\ndecode = 50\n"}};
  write("box/my-model.toml",
        content_of(std::filesystem::path(PREGATE_SOURCE_DIR) / "models/catalog/models/switch-base-8.toml"));
  write("box/my-policy.toml", "[lookahead]\nkind = \"none\"\n");
  succeed({"trace", "generate", "-o", path("t.db"), "--profile", "switch-base-128", "--requests", "1"});
  for (const auto& [kind, text] : cases) {
    write("box/kind.toml", text);
    if (kind == "cache-replay") {  // a recording that is not beside the case is no row that was skipped
      expect_refused({"validate", "published", "--case", path("box/kind.toml")}, {"routing.csv", "--data"});
      continue;
    }
    const Outcome outcome = run({"validate", "published", "--case", path("box/kind.toml")});
    EXPECT_EQ(outcome.exit_code, 0) << kind << outcome.out << outcome.err;
  }
}

TEST_F(OwnCase, WhatWouldPassUnnoticedIsRefused) {
  const std::string good = listed(1);
  expect_refused({"validate", "published", "--case", path("box/absent.toml")}, {"absent.toml"});
  expect_refused({"validate", "published", "--case", path("box")}, {"box"});
  expect_case_refused("title = ", {"bad.toml"});
  expect_case_refused(changed(good, "metric = \"tokens_per_s\"", "metric = \"tokens_a_s\""),
                      {"tokens_a_s", "tokens_per_s"});
  expect_case_refused(changed(good, "my-box.toml", "your-box.toml"), {"your-box.toml"});
  expect_case_refused(changed(good, "machine.link.h2d.bandwidth", "machin.link.h2d.bandwidth"),
                      {"bad.toml", "machine"});
  expect_case_refused(changed(good, "machine.link.h2d.bandwidth", "machine.link.h2d.bandwith"),
                      {"bandwidth"});
  expect_case_refused(changed(good, "Mixtral-8x7B on my box", "two\\nlines"),
                      {"bad.toml", "control character"});
  expect_case_refused(changed(good, "fixes = \"link\"", ""), {"fixed by 0 rows"});
  expect_case_refused(std::string((std::size_t{1} << 20) + 1, '#'), {"larger"});
  expect_case_refused(head("offload", "tokens_per_s", "machine = \"my-box.toml\"") +
                          "[[run]]\nname = \"r\"\nrouting = \"forced\"\nactive = 1\nbatch = 4096\n"
                          "encoder_tokens = 4096\n",
                      {"encoder_tokens"});
  expect_case_refused(head("offload", "tokens_per_s", "machine = \"my-box.toml\"") +
                          "[[run]]\nname = \"r\"\nrouting = \"forced\"\nactive = 1\n"
                          "set = [\"machine.overhead.step=1 ms\"]\n",
                      {"machine.overhead.step", "no effect"});
}

}  // namespace
}  // namespace pregate::test
