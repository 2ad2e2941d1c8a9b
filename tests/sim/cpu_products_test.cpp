// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/cpu_products.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace pregate::sim {
namespace {

constexpr double gb = 1e9;

/// Memory of 50 GB/s, 10 cores of 40 GFLOP/s.
HostSpec some_host() {
  HostSpec host;
  host.cores = 10;
  host.memory_bandwidth = {50 * gb};
  host.rate = {400e9};
  host.compute.bandwidth_efficiency = 0.8;
  host.compute.compute_efficiency = 0.25;
  return host;
}

// Without an exponent the lower limit decides, and nothing of the host's cores and vectors is looked at.
TEST(CpuProducts, AreWhatTheyWereWhereTheSoftwareSaysNothing) {
  HostSpec host = some_host();
  host.core_bandwidth = {1 * gb};
  host.flop_per_cycle = 64;
  const CpuProducts products = cpu_products(host, "q4_k");
  EXPECT_DOUBLE_EQ(products.reads.value, 40 * gb);
  EXPECT_EQ(products.rate.value, 400e9 * 0.25);
  EXPECT_DOUBLE_EQ(products.flow(1e6, 1e6).value, 40 * gb) << "a byte takes 25 ps to read, 10 to compute";
  EXPECT_DOUBLE_EQ(products.flow(1e6, 10e6).value, 10 * gb) << "and 100 to compute";
  EXPECT_DOUBLE_EQ(products.flow(1e6, 0).value, 40 * gb);
  EXPECT_TRUE(products.waits_for_memory(1e6, 2.5e6));
  EXPECT_FALSE(products.waits_for_memory(1e6, 2.6e6));
}

TEST(CpuProducts, TwoLimitsJoinByTheExponent) {
  const auto flow = [](double join, double flop) {
    return CpuProducts{{40 * gb}, {80e9}, join}.flow(1e6, flop).value / gb;
  };
  EXPECT_NEAR(flow(1, 2e6), 20, 1e-9) << "one after the other: 40 and 40";
  EXPECT_NEAR(flow(2, 2e6), 40 / std::sqrt(2), 1e-9);
  EXPECT_NEAR(flow(3, 2e6), 40 / std::cbrt(2), 1e-9);
  EXPECT_NEAR(flow(3, 1e6), std::pow(std::pow(40, -3) + std::pow(80, -3), -1.0 / 3), 1e-9);
  EXPECT_NEAR(flow(64, 1e6), 40, 1e-9);
  EXPECT_NEAR(flow(3, 1), 40, 1e-9) << "no arithmetic to speak of";
  for (const double join : {1.0, 3.0, 9.0}) {
    double before = 41;
    for (const double flop : {1e5, 1e6, 2e6, 4e6, 1e8}) {
      EXPECT_LT(flow(join, flop), before);
      EXPECT_LE(flow(join, flop), std::min(40.0, 80e3 / flop * 1e6 / 1e3));
      before = flow(join, flop);
    }
  }
}

TEST(CpuProducts, CoresBoundReadingWhereTheSoftwareSaysHowLimitsJoin) {
  HostSpec host = some_host();
  host.compute.join = 3;
  EXPECT_DOUBLE_EQ(cpu_products(host, "q4_k").reads.value, 40 * gb) << "not said: the memory alone";
  host.core_bandwidth = {4 * gb};
  EXPECT_NEAR(cpu_products(host, "q4_k").reads.value, 40 * gb / std::cbrt(2), 1);
  host.cores = 1000;
  EXPECT_NEAR(cpu_products(host, "q4_k").reads.value, 40 * gb, 40 * gb * 1e-6);
}

TEST(CpuProducts, ArithmeticIsThatOfThePacking) {
  HostSpec host = some_host();
  host.compute.packed = {
      .whole = 0.9, .blocks = 0.5, .super_blocks = 0.6, .codebook_8 = 0.3, .codebook_4 = 0.2};
  const auto rate = [&](const char* format) { return cpu_products(host, format).rate.value; };
  EXPECT_DOUBLE_EQ(rate("bf16"), 360e9);
  EXPECT_DOUBLE_EQ(rate("mxfp4"), 200e9);
  EXPECT_DOUBLE_EQ(rate("q4_k_m"), 240e9);
  EXPECT_DOUBLE_EQ(rate("iq2_xxs"), 120e9);
  EXPECT_DOUBLE_EQ(rate("iq3_s"), 80e9);
  EXPECT_DOUBLE_EQ(rate("awq"), 100e9) << "of no format of ggml: compute_efficiency";
  // A mixture's parts are computed one after the other: between those of what it has.
  EXPECT_GT(rate("iq3_m"), 80e9);
  EXPECT_LT(rate("iq3_m"), 240e9);
  host.flop_per_cycle = 64;
  EXPECT_DOUBLE_EQ(rate("mxfp4"), 100e9) << "vectors of 512 bits, of which products use a half";
  EXPECT_DOUBLE_EQ(rate("awq"), 100e9) << "which compute_efficiency has in it";
  host.flop_per_cycle = 16;
  EXPECT_DOUBLE_EQ(rate("mxfp4"), 200e9) << "narrower ones are all used";
  host.compute.packed.blocks = 0;
  EXPECT_DOUBLE_EQ(rate("mxfp4"), 100e9) << "not said: compute_efficiency";
  host.compute.formats["q4_k"] = {.bandwidth = 0.5, .compute = 0.1};
  EXPECT_DOUBLE_EQ(rate("q4_k"), 40e9) << "measured of the format: before all else";
  EXPECT_DOUBLE_EQ(cpu_products(host, "q4_k").reads.value, 25 * gb);
}

// One of two nodes has a half of the memory and a half of the cores.
TEST(CpuProducts, OneNodeHasItsShareOfBoth) {
  HostSpec host = some_host();
  host.numa = {2, {10 * gb}};
  host.compute.numa = NumaUse::one_node;
  host.compute.join = 1;
  host.core_bandwidth = {4 * gb};
  const CpuProducts products = cpu_products(host, "q4_k");
  EXPECT_NEAR(products.reads.value, 10 * gb, 1) << "20 of the memory, 20 of five cores";
  EXPECT_DOUBLE_EQ(products.rate.value, 50e9);
}

}  // namespace
}  // namespace pregate::sim
