// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Where one policy overtakes another along an axis, on rates whose crossings are known.
#include <gtest/gtest.h>

#include "sim/sweep/axis.hpp"
#include "sim/sweep/crossings.hpp"

namespace pregate::sim {
namespace {

using Rates = std::function<PolicyRates(double)>;

std::vector<Reign> reigns_of(const std::vector<std::string>& values, const Rates& rates,
                             int* probed = nullptr) {
  const RatesAt at = [&](const std::vector<std::string>& places) {
    std::vector<PolicyRates> all;
    for (const std::string& place : places) all.push_back(rates(measure_of(place)->number));
    if (probed != nullptr) *probed += static_cast<int>(places.size());
    return all;
  };
  std::vector<PolicyRates> known;
  for (const std::string& value : values) known.push_back(rates(measure_of(value)->number));
  return find_reigns(values, known, at);
}

// 10 + x and 4 + 3x are equal at x = 3.
TEST(Crossings, AreFoundToAThousandth) {
  int probed = 0;
  const std::vector<Reign> reigns = reigns_of(
      {"1GB/s", "2GB/s", "6GB/s", "9GB/s"},
      [](double x) {
        return PolicyRates{10 + x, 4 + 3 * x};
      },
      &probed);
  ASSERT_EQ(reigns.size(), 2U);
  EXPECT_EQ(reigns[0].policy, 0U);
  EXPECT_EQ(reigns[0].from, "1GB/s");
  EXPECT_EQ(reigns[1].policy, 1U);
  EXPECT_EQ(reigns[1].to, "9GB/s");
  const double before = measure_of(reigns[0].to)->number, after = measure_of(reigns[1].from)->number;
  EXPECT_LE(before, 3);
  EXPECT_GE(after, 3);
  EXPECT_LE(after - before, 1.001e-3 * after);
  EXPECT_EQ(measure_of(reigns[1].from)->unit, "GB/s");
  EXPECT_NEAR(reigns[1].rate_from, 13, 0.02);
  EXPECT_LE(probed, 40);
}

// Between 2 and 8 a third one is the best from 4 to 6: neither neighbour says so of itself.
TEST(Crossings, OfAThirdBetweenTwoAreFound) {
  const std::vector<Reign> reigns = reigns_of({"2", "8"}, [](double x) {
    return PolicyRates{10 - x, x, x >= 4 && x <= 6 ? 20.0 : 0.0};
  });
  ASSERT_EQ(reigns.size(), 3U);
  EXPECT_EQ(reigns[1].policy, 2U);
  EXPECT_NEAR(measure_of(reigns[1].from)->number, 4, 5e-3);
  EXPECT_NEAR(measure_of(reigns[1].to)->number, 6, 7e-3);
  EXPECT_EQ(reigns[2].policy, 1U);
}

TEST(Crossings, NeedSomeoneFaster) {
  EXPECT_EQ(reigns_of({"1", "2", "3"}, [](double) { return PolicyRates{5, 5}; }).size(), 1U);
  const auto reigns = reigns_of({"1", "2", "3"}, [](double x) { return PolicyRates{x < 2 ? 5.0 : 4.0, 5}; });
  ASSERT_EQ(reigns.size(), 2U);
  EXPECT_EQ(reigns[1].policy, 1U);
}

// What does not run is no rate; nothing at all may run.
TEST(Crossings, KnowWhatDoesNotRun) {
  const auto reigns = reigns_of({"1GiB", "4GiB", "16GiB"}, [](double x) {
    return PolicyRates{x >= 8 ? 9.0 : -1.0, x >= 2 ? 3.0 : -1.0};
  });
  ASSERT_EQ(reigns.size(), 3U);
  EXPECT_EQ(reigns[0].policy, std::nullopt);
  EXPECT_EQ(reigns[1].policy, 1U);
  EXPECT_NEAR(measure_of(reigns[1].from)->number, 2, 2.1e-3);
  EXPECT_EQ(reigns[2].policy, 0U);
}

// Words, numbers that do not ascend and values that cannot be set are bordered by what was given.
TEST(Crossings, AreNotSearchedBetweenOtherValues) {
  const std::vector<PolicyRates> rates{{1, 2}, {2, 1}};
  const RatesAt never = [](const std::vector<std::string>&) -> std::vector<PolicyRates> {
    ADD_FAILURE() << "there is nothing between";
    return {};
  };
  for (const auto& values :
       {std::vector<std::string>{"lru", "lfu"}, {"9GB/s", "5GB/s"}, {"1GB/s", "2GiB/s"}}) {
    const std::vector<Reign> reigns = find_reigns(values, rates, never);
    ASSERT_EQ(reigns.size(), 2U);
    EXPECT_EQ(reigns[0].to, values[0]);
    EXPECT_EQ(reigns[1].from, values[1]);
  }
  const RatesAt refuses = [](const std::vector<std::string>&) { return std::vector<PolicyRates>{}; };
  EXPECT_EQ(find_reigns({"1", "2"}, rates, refuses)[1].from, "2");
}

}  // namespace
}  // namespace pregate::sim
