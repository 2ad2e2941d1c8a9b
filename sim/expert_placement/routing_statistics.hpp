// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/workload/routing.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Steps [first, last) of a trace.
struct StepSpan {
  std::int64_t first = 0, last = std::numeric_limits<std::int64_t>::max();
};

/// A square or oblong table, row by row.
struct CountTable {
  std::size_t rows = 0, columns = 0;
  std::vector<double> cells;
  [[nodiscard]] double at(std::size_t row, std::size_t column) const { return cells[row * columns + column]; }
  double& at(std::size_t row, std::size_t column) { return cells[row * columns + column]; }
};

/// What placements of a MoE layer's experts are decided by. A batch is one step of the trace that runs the
/// layer; a share is of the entries that the batch routes in it (tokens x experts a token).
struct LayerRouting {
  std::vector<double> load;  ///< by expert: mean over batches of its share; sums to 1 where there is a batch
  std::vector<double> tokens;  ///< by expert: tokens of all batches
  /// Pearson's correlation of two experts' shares over the batches; 0 where one of them does not vary.
  CountTable correlation;
  /// Tokens routed to expert `row` here and to expert `column` of the next MoE layer of the stack, pairs
  /// counted one by one; no rows where there is no such layer.
  CountTable next;
};

struct RoutingStatistics {
  std::vector<LayerRouting> layers;  ///< by ordinal of the map
  std::int64_t steps = 0, tokens = 0;
};

/// Of the steps `span` of `source`, which is rewound before and after. InputError naming `where` when it has
/// no such step, or when the tables would take more than 2 GiB.
RoutingStatistics measure_routing(trace::StepSource& source, const ExpertMap& map, StepSpan span,
                                  const std::string& where);

}  // namespace pregate::sim
