// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What a sweep's page shows: every point of the database, the bound of hits, ranges.
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/sweep_fixture.hpp"

namespace pregate::test {
namespace {

using ::testing::HasSubstr;

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Maps hold every point of the database once, with its rate; lines the best of each value; the table all.
TEST_F(Sweep, ThePageShowsWhatTheDatabaseHas) {
  succeed(sweep_of("on-demand-cache,pre-gated-cache", "s.db",
                   {"--vary", "machine.link.h2d.bandwidth=8GB/s,16GB/s,32GB/s", "--vary",
                    "policy.cache.capacity=25%,75%", "--report", path("s.html")}));
  const std::string page = read("s.html");
  // Tips of a policy's map: the rate to three digits at its settings.
  const std::string rates =
      sql("s.db",
          "SELECT group_concat(printf('%.3g', tokens_per_s) || ' tokens/s at machine.link.h2d.bandwidth='"
          " || (settings->>'$.\"machine.link.h2d.bandwidth\"') || ', policy.cache.capacity='"
          " || (settings->>'$.\"policy.cache.capacity\"'), ';') FROM points");
  std::istringstream tips(rates);
  int points = 0;
  for (std::string tip; std::getline(tips, tip, ';'); ++points)
    EXPECT_GE(count_of(page, tip + "</title></rect>"), 1U) << tip;
  EXPECT_EQ(points, 12);
  EXPECT_EQ(count_of(page, "</title></rect>"), 12U + 6U) << "two policies' maps, and which is the best";
  EXPECT_EQ(count_of(page, "<tr><td>on-demand-cache</td>") + count_of(page, "<tr><td>pre-gated-cache</td>"),
            12U + 2U)
      << "points, and a row of each policy";
  for (const char* title : {"Tokens/s along machine.link.h2d.bandwidth; other settings at their best",
                            "along policy.cache.capacity; other settings at their best", "% hits",
                            "what nothing beats in both", "The most: "})
    EXPECT_THAT(page, HasSubstr(title));
  EXPECT_EQ(count_of(page, "src="), 0U) << "it needs nothing else";
}

/// The figures behind each `before` in the text.
std::vector<double> figures_after(const std::string& text, const std::string& before) {
  std::vector<double> figures;
  for (std::size_t at = text.find(before); at != std::string::npos; at = text.find(before, at + 1))
    figures.push_back(std::stod(text.substr(at + before.size())));
  return figures;
}

// The bound is a replay of its own: no eviction hits more at any capacity, and the one that knows the future
// comes near it. Policies whose caches others fill have none, and the page says so.
TEST_F(Sweep, ThePageHasTheBoundOfHits) {
  const Words capacities{"--vary", "policy.cache.capacity=25%,50%,75%", "--vary"};
  const auto sweep = [&](const std::string& name, Words more) {
    more.insert(more.begin(), capacities.begin(), capacities.end());
    more.insert(more.end(), {"--report", path(name + ".html")});
    succeed(sweep_of("on-demand-cache", name + ".db", more, "40"));
  };
  sweep("s", {"policy.cache.eviction=lru,fifo,belady"});
  const std::vector<double> bound = figures_after(read("s.html"), "Belady: at most ");
  ASSERT_EQ(bound.size(), 3U);
  for (std::size_t i = 0; i < bound.size(); ++i) {
    const auto hits = [&](const std::string& which) {
      return 100 * std::stod(sql("s.db",
                                 "SELECT max(hit_rate) FROM points WHERE settings->>'$.\"policy.cache."
                                 "capacity\"' = '" +
                                     std::to_string(25 * (i + 1)) + "%'" + which));
    };
    constexpr double three_digits = 1.005;
    EXPECT_LE(hits(""), bound[i] * three_digits);
    EXPECT_GT(bound[i], hits(" AND settings->>'$.\"policy.cache.eviction\"' = 'lru'"));
  }
  EXPECT_THAT(read("s.html"), HasSubstr("stroke-dasharray"));
  sweep("given", {"policy.cache.hit_rate=0.3,0.6", "--set", "policy.cache.eviction=given-rate"});
  EXPECT_THAT(read("given.html"), HasSubstr("no Belady bound: on-demand-cache: its hit rate is given"));
  EXPECT_TRUE(figures_after(read("given.html"), "Belady: at most ").empty());
}

// Rates that measurements support have the range to expect around them, the same as in the database.
TEST_F(Sweep, ThePageHasRangesAsBands) {
  succeed({"sweep", "--model", "qwen3-30b-a3b", "--machine", "rtx4090-pcie4", "--prompt", "8", "--output",
           "4", "--policy", "on-demand-cache", "--vary", "policy.cache.capacity=15%,20%,30%", "-o",
           path("s.db"), "--report", path("s.html")});
  ASSERT_EQ(sql("s.db", "SELECT count(*) FROM points WHERE tokens_per_s_high > tokens_per_s"), "3");
  const std::string page = read("s.html");
  EXPECT_GE(count_of(page, "<polygon"), 2U) << "along the axis, and of the front";
  std::istringstream ranges(
      sql("s.db",
          "SELECT group_concat('to expect: ' || printf('%.3g', tokens_per_s_low) || ' to ' ||"
          " printf('%.3g', tokens_per_s_high), ';') FROM points"));
  for (std::string range; std::getline(ranges, range, ';');) EXPECT_EQ(count_of(page, range), 1U) << range;
}

// Samples lie anywhere: dots, no maps.
TEST_F(Sweep, APageOfASampleHasADotAPoint) {
  succeed({"sweep", "--model", "switch-base-8", "--prompt", "8", "--output", "6", "--policy",
           "on-demand-cache", "--vary", "machine.link.h2d.bandwidth=8..32GB/s", "--vary",
           "policy.cache.capacity=20%..80%", "--sample", "lhs:7", "-o", path("s.db"), "--report",
           path("s.html")});
  const std::string page = read("s.html");
  EXPECT_EQ(count_of(page, "</title></rect>"), 0U);
  EXPECT_EQ(count_of(page, " tokens/s at "), 2U * 7U + 1U) << "along two axes, and what is the most";
  EXPECT_EQ(count_of(page, " % hits at "), 7U + 7U) << "points, and the bound at each capacity";
}

}  // namespace
}  // namespace pregate::test
