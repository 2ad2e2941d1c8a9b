// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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

/// A copy of an expert that a GPU gets and did not hold before, from its home until then.
struct ExpertArrival {
  ExpertKey key = 0;
  std::uint8_t from = 0, to = 0;
};

/// EPLB, pass by pass. The map outlives it.
class Rebalancer {
 public:
  Rebalancer(const ExpertMap& map, ExpertHomes start, const Rebalancing& rebalancing);
  ~Rebalancer();
  Rebalancer(const Rebalancer&) = delete;
  Rebalancer& operator=(const Rebalancer&) = delete;

  /// Whether replicas are placed anew before the next step.
  [[nodiscard]] bool is_due() const;
  /// Places them; layers that no step of the window ran stay as they are. Which copies that takes, layer by
  /// layer; nothing where no step of it had tokens.
  const std::vector<ExpertArrival>& rebalance();
  /// A step has run; `stack`: of the trace.
  void watch(const StepRouting& routing, int stack);

  [[nodiscard]] const ExpertHomes& homes() const { return homes_; }
  /// That had tokens to go by.
  [[nodiscard]] std::int64_t rebalancings() const { return rebalancings_; }

 private:
  class Window;
  const ExpertMap& map_;
  ExpertHomes homes_;
  Rebalancing rebalancing_;
  std::unique_ptr<Window> window_;
  std::int64_t steps_ = 0, rebalancings_ = 0;
  std::vector<ExpertArrival> arrived_;
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
