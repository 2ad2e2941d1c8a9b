// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/fair_share.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace pregate::sim {
namespace {

/// 1 when the flow crosses the resource, else 0: factors instead of branches, which mispredict on such short
/// loops.
bool crosses(const Flow& flow, std::size_t resource) { return ((flow.resources >> resource) & 1U) != 0; }

}  // namespace

void share_fairly(std::span<const double> capacity, std::span<Flow> flows) {
  const std::size_t resources = capacity.size();
  // All flows at their caps, where the resources carry that.
  std::array<double, most_resources>
      demand;  // NOLINT(cppcoreguidelines-pro-type-member-init): the first ones
  std::fill_n(demand.begin(), resources, 0.0);
  for (Flow& flow : flows) {
    flow.rate = flow.cap;
    for (std::size_t r = 0; r < resources; ++r) demand[r] += crosses(flow, r) ? flow.cap : 0;
  }
  bool caps_fit = true;
  for (std::size_t r = 0; r < resources; ++r) {
    caps_fit &= capacity[r] <= 0 || demand[r] <= capacity[r] * (1 + share_tolerance);
  }
  if (caps_fit) return;

  constexpr double undecided = -1;
  std::array<int, most_resources> users{};
  for (Flow& flow : flows) {
    flow.rate = undecided;
    for (std::size_t r = 0; r < resources; ++r) users[r] += crosses(flow, r) ? 1 : 0;
  }
  std::array<double, most_resources> left{};
  std::copy(capacity.begin(), capacity.end(), left.begin());
  for (std::size_t open = flows.size(); open > 0;) {
    double share = std::numeric_limits<double>::infinity();
    std::size_t bottleneck = 0;
    for (std::size_t r = 0; r < resources; ++r) {
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
      for (std::size_t r = 0; r < resources; ++r) {
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
