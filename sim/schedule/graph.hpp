// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "sim/schedule/schedule.hpp"

namespace pregate::sim {

/// Edges (predecessor, successor): every explicit dependency and, from each operation to the next of its
/// stream, one stream edge. FIFO streams are in issue order; priority streams in the order in which
/// `timeline` ran them (start, finish, issue), and without a timeline they have no stream edges.
std::vector<std::pair<OpId, OpId>> precedence_edges(const Schedule& schedule, const Timeline* timeline);

/// The operations 0..count-1 so that every edge goes forward; empty when a cycle makes that impossible
/// (and for count 0).
std::vector<OpId> topological_order(std::size_t count, const std::vector<std::pair<OpId, OpId>>& edges);

/// One cycle, each operation followed by its successor (the last one's is the first); empty when there is
/// none.
std::vector<OpId> find_cycle(std::size_t count, const std::vector<std::pair<OpId, OpId>>& edges);

}  // namespace pregate::sim
