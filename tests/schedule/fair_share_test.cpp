// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fair_share.hpp"
#include "tests/support/one_gpu.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace pregate::sim {
namespace {

// The definition of max-min fairness (Bertsekas and Gallager, Data Networks, 6.5.2): an allocation within the
// capacities is max-min fair exactly when every flow is at its cap or has a bottleneck: a full resource on
// which no flow is faster than it.
TEST(FairShare, EveryFlowIsAtItsCapOrHasABottleneck) {
  std::mt19937_64 random(7);
  int throttled = 0;
  int mixed = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::array<double, one_gpu::resources> capacity{};
    for (double& c : capacity) c = static_cast<double>(random() % 8) * 5e9;  // 0 = no limit
    std::vector<Flow> flows(1 + random() % 6);
    for (Flow& flow : flows) {
      flow.cap = static_cast<double>(1 + random() % 30) * 1e9 / 3;
      flow.resources = static_cast<std::uint32_t>(random() % (1U << one_gpu::resources));
    }
    share_fairly(capacity, flows);

    const auto crosses = [](const Flow& flow, std::size_t r) { return ((flow.resources >> r) & 1U) != 0; };
    std::array<double, one_gpu::resources> load{};
    for (std::size_t r = 0; r < one_gpu::resources; ++r) {
      for (const Flow& flow : flows) load[r] += crosses(flow, r) ? flow.rate : 0;
      if (capacity[r] > 0) {
        ASSERT_LE(load[r], capacity[r] * (1 + 1e-11));
      }
    }
    bool any_capped = false;
    bool any_throttled = false;
    for (const Flow& flow : flows) {
      ASSERT_GT(flow.rate, 0);
      ASSERT_LE(flow.rate, flow.cap);
      if (flow.rate == flow.cap) {
        any_capped = true;
        continue;
      }
      any_throttled = true;
      bool has_bottleneck = false;
      for (std::size_t r = 0; r < one_gpu::resources; ++r) {
        if (!crosses(flow, r) || capacity[r] == 0 || load[r] < capacity[r] * (1 - 1e-11)) continue;
        has_bottleneck |= std::none_of(flows.begin(), flows.end(), [&](const Flow& other) {
          return crosses(other, r) && other.rate > flow.rate * (1 + 1e-11);
        });
      }
      ASSERT_TRUE(has_bottleneck) << "round " << round;
    }
    throttled += any_throttled ? 1 : 0;
    mixed += any_throttled && any_capped ? 1 : 0;
  }
  EXPECT_GT(throttled, 2'000);  // the rounds did exercise sharing,
  EXPECT_GT(mixed, 1'000);      // and flows that leave part of their share
}

// Caps that add up to the capacity in arithmetic but not in floating point (0.1 + 0.2 > 0.3) throttle nobody.
TEST(FairShare, RoundingOfSumsThrottlesNobody) {
  std::array<double, one_gpu::resources> capacity{};
  capacity[0] = 0.3;
  std::vector<Flow> flows{{.cap = 0.1, .resources = 1}, {.cap = 0.2, .resources = 1}};
  share_fairly(capacity, flows);
  EXPECT_EQ(flows[0].rate, 0.1);
  EXPECT_EQ(flows[1].rate, 0.2);
}

}  // namespace
}  // namespace pregate::sim
