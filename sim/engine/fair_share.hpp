// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "sim/schedule/operation.hpp"

namespace pregate::sim {

/// One flow in its data phase. Rates in bytes/s.
struct Flow {
  double cap = 0;  ///< > 0; the flow never exceeds it
  ResourceSet resources = 0;
  double rate = 0;  ///< result
};

/// A share this close below a cap counts as the cap: sums of rates that meet a capacity exactly in arithmetic
/// must not throttle anybody because they are rounded. Capacities may be exceeded by this share of
/// themselves.
inline constexpr double share_tolerance = 1e-12;

/// `capacity` by ResourceId. Max-min fair rates by progressive filling: no flow can get more without taking
/// from one that has no more than it. A flow that reaches its cap, or crosses no limited resource, runs at
/// exactly `cap`. capacity 0: the resource limits nobody. Flows that cross the same limits alike get
/// identical rates.
void share_fairly(std::span<const double> capacity, std::span<Flow> flows);

}  // namespace pregate::sim
