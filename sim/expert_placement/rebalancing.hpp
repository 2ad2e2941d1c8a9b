// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/expert_placement/expert_homes.hpp"
#include "sim/expert_placement/quality.hpp"
#include "sim/expert_placement/replicas.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// EPLB at work, as serving engines run it: after every `every` steps of the trace the replicas are placed
/// anew by the tokens of the `window` steps before.
struct Rebalancing {
  int gpus = 1;
  int redundant = 0;        ///< copies beyond the experts of a layer
  std::int64_t every = 0;   ///< steps, at least 1
  std::int64_t window = 0;  ///< steps, at least 1
};

struct RebalancedRun {
  PlacementQuality quality;       ///< of all steps of the span
  std::int64_t rebalancings = 0;  ///< that had tokens to go by
  std::int64_t copies = 0;        ///< experts that a GPU got and did not hold before, first homes not counted
  Bytes bytes;                    ///< of those: the sizes of the map's experts
};

/// Of the steps `span` of `source`, which is rewound before and after. `start` holds until the first
/// re-balancing; it is not counted. Layers that no step of the window ran stay as they are.
RebalancedRun run_rebalancing(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                              const ExpertHomes& start, const Rebalancing& rebalancing);

}  // namespace pregate::sim
