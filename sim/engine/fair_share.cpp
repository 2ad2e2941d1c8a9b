// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fair_share.hpp"

#include <algorithm>
#include <limits>

namespace pregate::sim {
namespace {

using PerResource = std::array<double, resource_count>;

/// 1 when the flow crosses the resource, else 0: factors instead of branches, which mispredict on such short
/// loops.
unsigned crosses(const Flow& flow, std::size_t resource) { return (flow.resources >> resource) & 1U; }

}  // namespace

void share_fairly(const PerResource& capacity, std::span<Flow> flows) {
  // All flows at their caps, where the resources carry that.
  PerResource demand{};
  for (Flow& flow : flows) {
    flow.rate = flow.cap;
    for (std::size_t r = 0; r < demand.size(); ++r) demand[r] += crosses(flow, r) ? flow.cap : 0;
  }
  bool caps_fit = true;
  for (std::size_t r = 0; r < demand.size(); ++r) {
    caps_fit &= capacity[r] <= 0 || demand[r] <= capacity[r] * (1 + share_tolerance);
  }
  if (caps_fit) return;

  constexpr double undecided = -1;
  std::array<int, resource_count> users{};
  for (Flow& flow : flows) {
    flow.rate = undecided;
    for (std::size_t r = 0; r < users.size(); ++r) users[r] += crosses(flow, r) ? 1 : 0;
  }
  PerResource left = capacity;
  for (std::size_t open = flows.size(); open > 0;) {
    double share = std::numeric_limits<double>::infinity();
    std::size_t bottleneck = 0;
    for (std::size_t r = 0; r < left.size(); ++r) {
      if (capacity[r] <= 0 || users[r] == 0) continue;
      const double fair = std::max(0.0, left[r]) / users[r];
      if (fair < share) {
        share = fair;
        bottleneck = r;
      }
    }
    const auto settle = [&](Flow& flow, double rate) {
      flow.rate = rate;
      --open;
      for (std::size_t r = 0; r < left.size(); ++r) {
        left[r] -= crosses(flow, r) ? rate : 0;
        users[r] -= crosses(flow, r) ? 1 : 0;
      }
    };
    // Flows whose cap is within the smallest fair share are limited by nothing else; what they leave is the
    // others'.
    const std::size_t before = open;
    for (Flow& flow : flows) {
      if (flow.rate < 0 && flow.cap <= share * (1 + share_tolerance)) settle(flow, flow.cap);
    }
    if (open != before) continue;
    for (Flow& flow : flows) {
      if (flow.rate < 0 && crosses(flow, bottleneck)) settle(flow, share);
    }
  }
}

}  // namespace pregate::sim
