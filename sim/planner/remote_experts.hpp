// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/planner/host_reads.hpp"
#include "sim/planner/split_set.hpp"
#include "sim/platform/topology.hpp"
#include "sim/program/estimates.hpp"
#include "sim/program/layer_program.hpp"

namespace pregate::sim {

/// Which tokens a GPU has when its experts are chosen, and sends a CPU that computes some of these.
enum class TokensHere : std::uint8_t {
  of_pass,  ///< those that it attended to, which are all
  of_all,   ///< gathered: those of all groups of GPUs
  routed,   ///< of all groups, those that its experts get; they come after the ids
};

/// Experts of a layer that are computed elsewhere than on the GPU that runs it: by the CPU, or by another
/// place that has them. Their activations go there and the results come back.
///
/// What the CPU computes earns credit: a copy in the background is paid with as much CPU work as it takes, so
/// that such copies do not pile up on the link.
class RemoteExperts {
 public:
  /// `estimates` may be null where nobody takes credit. All outlive this. `names_experts`: programs must name
  /// the experts that are read. What the CPU computes waits for what `reads` has of its experts.
  RemoteExperts(const Topology& topology, PlaceId gpu, const Estimates* estimates, bool names_experts,
                const HostReads& reads, LayerProgram& program);

  void set(TokensHere tokens) { tokens_ = tokens; }
  void clear();
  void add(PlaceId place, ExpertKey key, std::uint32_t tokens);
  [[nodiscard]] const SplitSet& of(PlaceId place) const { return sets_[static_cast<std::size_t>(place)]; }
  [[nodiscard]] bool any() const { return any_; }

  /// Issues what was added. The results are on the GPU when all of results() are done. `arrived`: what brings
  /// the tokens, where they come after the ids.
  void compute(int layer, int ordinal, int layer_class, OpId ids_known, OpId arrived);
  /// Of a layer to come, which waits for what this returns if it needs one of them.
  OpId compute_ahead(PlaceId place, const SplitSet& experts, int layer, int ordinal, int layer_class,
                     OpId known) {
    return compute_at(place, experts, layer, ordinal, layer_class, {known, no_op});
  }
  [[nodiscard]] const std::vector<OpId>& results() const { return results_; }

  /// Pays for the copy of one expert; false when the credit does not reach.
  bool take_credit();

 private:
  /// What is sent waits for these.
  struct Ready {
    OpId known, arrived;
  };
  /// Activations, hop by hop; returns the last copy.
  OpId send(std::span<const Hop> hops, Ready ready, int layer, std::uint32_t most_tokens);
  OpId compute_at(PlaceId place, const SplitSet& experts, int layer, int ordinal, int layer_class,
                  Ready ready);
  [[nodiscard]] std::uint32_t sent_to_cpu(const SplitSet& experts) const;

  const Topology& topology_;
  MemoryId here_;
  const Estimates* estimates_;
  bool names_experts_;
  const HostReads& reads_;
  LayerProgram& program_;
  std::vector<SplitSet> sets_;  // by place
  bool any_ = false;
  std::vector<OpId> results_;
  TokensHere tokens_ = TokensHere::of_pass;
  Picoseconds credit_;
};

}  // namespace pregate::sim
