// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/schedule/graph.hpp"

#include <algorithm>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/depth_first_search.hpp>
#include <boost/graph/topological_sort.hpp>
#include <boost/property_map/property_map.hpp>
#include <iterator>
#include <tuple>

namespace pregate::sim {
namespace {

using Edges = std::vector<std::pair<OpId, OpId>>;
using Graph = boost::compressed_sparse_row_graph<boost::directedS>;

Graph graph_of(std::size_t count, const Edges& edges) {
  return {boost::edges_are_unsorted_multi_pass, edges.begin(), edges.end(), count};
}

using Colors = std::vector<boost::default_color_type>;

/// The search's marks, kept in `colors`.
auto marks_in(Colors& colors, const Graph& graph) {
  return boost::make_iterator_property_map(colors.begin(), get(boost::vertex_index, graph));
}

/// Remembers the tree of the search, so that the first edge back to an open vertex gives a cycle.
struct CycleVisitor : boost::default_dfs_visitor {
  std::vector<OpId>* parent;
  std::vector<OpId>* cycle;

  void tree_edge(Graph::edge_descriptor edge, const Graph& graph) const {
    (*parent)[target(edge, graph)] = static_cast<OpId>(source(edge, graph));
  }
  void back_edge(Graph::edge_descriptor edge, const Graph& graph) const {
    if (!cycle->empty()) return;
    const auto last = static_cast<OpId>(target(edge, graph));
    for (auto at = static_cast<OpId>(source(edge, graph)); at != last;
         at = (*parent)[static_cast<std::size_t>(at)]) {
      cycle->push_back(at);
    }
    cycle->push_back(last);
    std::reverse(cycle->begin(), cycle->end());
  }
};

}  // namespace

Edges precedence_edges(const Schedule& schedule, const Timeline* timeline) {
  Edges edges;
  std::vector<std::vector<OpId>> streams(schedule.platform.streams.size());
  const auto count = static_cast<OpId>(schedule.size());
  for (OpId id = 0; id < count; ++id) {
    for (const OpId dependency : schedule.dependencies(id)) edges.emplace_back(dependency, id);
    streams.at(static_cast<std::size_t>(schedule.operation(id).stream)).push_back(id);
  }
  for (std::size_t stream = 0; stream < streams.size(); ++stream) {
    auto& ids = streams.at(stream);
    if (schedule.platform.streams[stream].order == StreamOrder::priority) {
      if (timeline == nullptr) continue;
      std::sort(ids.begin(), ids.end(), [timeline](OpId a, OpId b) {
        const auto i = static_cast<std::size_t>(a);
        const auto j = static_cast<std::size_t>(b);
        return std::tuple(timeline->start[i], timeline->finish[i], a) <
               std::tuple(timeline->start[j], timeline->finish[j], b);
      });
    }
    for (std::size_t i = 1; i < ids.size(); ++i) edges.emplace_back(ids[i - 1], ids[i]);
  }
  return edges;
}

std::vector<OpId> topological_order(std::size_t count, const Edges& edges) {
  std::vector<OpId> order;
  order.reserve(count);
  const Graph graph = graph_of(count, edges);
  Colors colors(count);
  try {
    boost::topological_sort(graph, std::back_inserter(order), boost::color_map(marks_in(colors, graph)));
  } catch (const boost::not_a_dag&) {
    return {};
  }
  std::reverse(order.begin(), order.end());  // Boost writes the last operation first
  return order;
}

std::vector<OpId> find_cycle(std::size_t count, const Edges& edges) {
  std::vector<OpId> parent(count, no_op);
  std::vector<OpId> cycle;
  CycleVisitor visitor;
  visitor.parent = &parent;
  visitor.cycle = &cycle;
  const Graph graph = graph_of(count, edges);
  Colors colors(count);
  boost::depth_first_search(graph, visitor, marks_in(colors, graph));
  return cycle;
}

}  // namespace pregate::sim
