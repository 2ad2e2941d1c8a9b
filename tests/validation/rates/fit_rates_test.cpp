// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Constants from rates of a machine whose true ones are known.
#include "validation/rates/fit_rates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"

namespace pregate::validation {
namespace {

using test::error_of;
using testing::HasSubstr;

/// A row's time, ms: bytes over memory, launches of `layers` layers, and copies of so many GB.
struct Load {
  double memory_ms, layers, copied_gb;
};

double rate(const Load& load, const MachineSpec& machine) {
  const double launches =
      (machine.overhead.attention + machine.overhead.gate + machine.overhead.experts).milliseconds();
  return 1000 / (load.memory_ms / machine.gpu.memory_efficiency + load.layers * launches +
                 load.copied_gb * 1e12 / machine.h2d.bandwidth.value);
}

/// Memory at 0.8, launches of 17 kernels of 5 us a layer, the link at 24.5 GB/s.
MachineSpec as_described() { return load_machine("rtx4090-pcie4"); }

/// Memory at 0.6, launches half of what is described.
MachineSpec as_it_is() {
  MachineSpec machine = as_described();
  machine.gpu.memory_efficiency = 0.6;
  for (Picoseconds* time : {&machine.overhead.attention, &machine.overhead.gate, &machine.overhead.experts})
    time->count /= 2;
  return machine;
}

std::vector<double> measured(const std::vector<Load>& loads, const MachineSpec& machine) {
  std::vector<double> rates;
  for (const Load& load : loads) rates.push_back(rate(load, machine));
  return rates;
}

RateFit fit(const std::vector<Load>& loads, const std::vector<double>& rates,
            const std::vector<std::string>& constants = {}) {
  return fit_rates(as_described(), rates,
                   [&](std::size_t row, const MachineSpec& machine) { return rate(loads[row], machine); },
                   {constants});
}

const std::vector<Load> four = {{4, 20, 0}, {1, 40, 0}, {8, 30, 0}, {3, 60, 0}};

TEST(FitRates, FindsTheConstantsThatMadeTheRates) {
  const RateFit found = fit(four, measured(four, as_it_is()));
  EXPECT_NEAR(found.machine.gpu.memory_efficiency, 0.6, 1e-4);
  EXPECT_NEAR(found.machine.overhead.attention.seconds(), 20e-6, 1e-8) << "8 kernels of 5 us, halved";
  EXPECT_EQ(found.machine.h2d.bandwidth.value, as_described().h2d.bandwidth.value) << "no row copies";
  ASSERT_EQ(found.constants.size(), 2U);
  for (std::size_t i = 0; i < four.size(); ++i) {
    EXPECT_NEAR(found.rows[i].left_out.value(), found.rows[i].fitted, 1e-3 * found.rows[i].fitted);
    EXPECT_NE(found.rows[i].before, found.rows[i].fitted);
  }
}

// Only the last row copies: without it nothing is known of the link, and it is predicted with the described
// 24.5 GB/s. At the true 12.25 GB/s its copies alone take 2 x 40.8 ms.
TEST(FitRates, ARowThatIsLeftOutFixesNothing) {
  MachineSpec truth = as_it_is();
  truth.h2d.bandwidth.value = 12.25e9;
  std::vector<Load> loads = four;
  loads.push_back({2, 20, 1});
  const RateFit found = fit(loads, measured(loads, truth));
  EXPECT_NEAR(found.machine.h2d.bandwidth.value, 12.25e9, 1e6);
  EXPECT_NEAR(found.rows[4].left_out.value(), rate(loads[4], as_it_is()), 1e-2);
}

TEST(FitRates, WhatRowsCannotTellApartIsLeftAndSaid) {
  const std::vector<Load> alike = {{4, 20, 0}, {8, 40, 0}, {6, 30, 0}};  // twice the layers, twice the bytes
  const std::vector<double> rates = measured(alike, as_it_is());
  const RateFit found = fit(alike, rates);
  ASSERT_EQ(found.constants.size(), 1U);
  EXPECT_EQ(rate_constants()[found.constants[0].index].name, "memory");
  const auto launches = std::find_if(found.left.begin(), found.left.end(), [](const Determined::Left& left) {
    return rate_constants()[left.constant].name == "launches";
  });
  ASSERT_NE(launches, found.left.end());
  EXPECT_EQ(launches->like, found.constants[0].index);
  EXPECT_EQ(found.machine.overhead.attention, as_described().overhead.attention);
  EXPECT_THAT(error_of([&] {
                fit(alike, rates, {"memory", "launches"});
              }),
              HasSubstr("cannot tell 'launches' from 'memory'"));
  EXPECT_THAT(error_of([&] { fit(alike, rates, {"link"}); }), HasSubstr("no row moves with 'link'"));
  EXPECT_THAT(error_of([&] { fit(alike, rates, {"memroy"}); }), HasSubstr("'memory'"));
}

TEST(FitRates, NotMoreConstantsThanRows) {
  const std::vector<Load> one = {four[0]};
  const std::vector<double> rates = measured(one, as_it_is());
  const RateFit found = fit(one, rates);
  EXPECT_EQ(found.constants.size(), 1U);
  EXPECT_FALSE(found.rows[0].left_out.has_value());
  EXPECT_THAT(error_of([&] {
                fit(one, rates, {"memory", "launches"});
              }),
              HasSubstr("2 constants, but 1 rows"));
  const std::vector<Load> two = {four[0], four[1]};
  EXPECT_EQ(fit(two, measured(two, as_it_is())).constants.size(), 1U) << "a row is left to judge by";
  EXPECT_EQ(fit(two, measured(two, as_it_is()), {"memory", "launches"}).constants.size(), 2U) << "on request";
}

// Twice what the memory can give: it stays at 1, and the rest is said.
TEST(FitRates, AShareEndsAtOne) {
  const std::vector<Load> loads = {{4, 0, 0}, {8, 0, 0}};
  const RateFit found = fit(loads, {1000.0 / 2, 1000.0 / 4});
  EXPECT_NEAR(found.machine.gpu.memory_efficiency, 1, 1e-9);
  EXPECT_TRUE(found.constants.at(0).is_at_limit);
}

}  // namespace
}  // namespace pregate::validation
