// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A pass that is cut into micro-batches: what of a layer is done for each of them.
#include <algorithm>
#include <numeric>
#include <utility>

#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

void LayerPlanner::cut_pass(std::span<const StepRouting> micro_batches) {
  micro_batches_ = micro_batches;
  if (!is_cut() || !known_of_.empty()) return;
  known_of_.resize(map_.keys());
  set_.resize(map_.keys());
}

OpId LayerPlanner::compute_all(OpKind kind, int layer, int layer_class) {
  if (!is_cut()) return compute(kind, layer, layer_class);
  OpId last = no_op;
  for (std::size_t part = 0; part < micro_batches_.size(); ++part) {
    micro_batch_ = static_cast<int>(part);
    last = compute(kind, layer, layer_class);
  }
  micro_batch_ = -1;
  return last;
}

/// All of attention comes before any of the experts, whose copies then have it to hide behind: on one stream
/// of the GPU nothing is gained by experts that stand in its way.
/// Where the CPU attends, it has the first parts while the GPU projects the others.
void LayerPlanner::begin_in_micro_batches(int ordinal, int layer_class) {
  const std::size_t parts = micro_batches_.size();
  const bool first = all_attend_first(layer_class);
  for (std::size_t part = 0; part < parts; ++part) {
    attend_part(part, ordinal, layer_class);
    if (!first) choose_experts_of_part(part);
  }
  for (std::size_t part = 0; first && part < parts; ++part) choose_experts_of_part(part);
  know_parts();
  learn_ids();
}

void LayerPlanner::attend_part(std::size_t part, int ordinal, int layer_class) {
  micro_batch_ = static_cast<int>(part);
  attend(ordinal, layer_class);
  if (part == 0) {
    parts_first_ = block_first_;
    attended_of_.clear();
  }
  attended_of_.push_back(std::exchange(attended_, no_op));
  micro_batch_ = -1;
}

void LayerPlanner::combine_part(std::size_t part) {
  attended_ = std::exchange(attended_of_[part], no_op);
  combine_attention();
}

/// After its attention.
void LayerPlanner::gate_of_part(std::size_t part) {
  micro_batch_ = static_cast<int>(part);
  combine_part(part);
  gate();
  micro_batch_ = -1;
}

void LayerPlanner::issue_ids_of_part(std::size_t part) {
  micro_batch_ = static_cast<int>(part);
  issue_ids();
  micro_batch_ = -1;
  if (!reads_back_) return;
  for (const ExpertKey key : micro_batches_[part].activated(ordinal_)) {
    if (set_[key] == 0) known_of_[key] = ids_known_;
    set_[key] = 1;
  }
}

void LayerPlanner::know_parts() {
  block_first_ = parts_first_;
  for (const StepRouting& routing : micro_batches_) {
    for (const ExpertKey key : routing.activated(ordinal_)) set_[key] = 0;
  }
}

/// Those of `keys` that each part activates, in an operation of its own. An expert that several of them need
/// is waited for by each: the later ones find it there.
void LayerPlanner::compute_in_micro_batches(int ordinal, std::span<const ExpertKey> keys, bool with_shared) {
  for (const ExpertKey key : keys) set_[key] = 1;
  for (std::size_t part = 0; part < micro_batches_.size(); ++part) {
    const StepRouting& routing = micro_batches_[part];
    const std::span<const ExpertKey> activated = routing.activated(ordinal);
    keys_of_part_.clear();
    tokens_of_part_.clear();
    std::uint32_t routed = 0;
    for (std::size_t i = 0; i < activated.size(); ++i) {
      if (set_[activated[i]] == 0) continue;
      keys_of_part_.push_back(activated[i]);
      tokens_of_part_.push_back(routing.tokens(ordinal)[i]);
      routed += tokens_of_part_.back();
    }
    if (keys_of_part_.empty() && !with_shared) continue;
    micro_batch_ = static_cast<int>(part);
    compute_set(ordinal, keys_of_part_, keys_of_part_, tokens_of_part_, routed, with_shared);
  }
  micro_batch_ = -1;
  for (const ExpertKey key : keys) set_[key] = 0;
}

/// One by one for all parts: who is there does not wait behind who is not (Klotski, arXiv 2502.06888, section
/// 4).
void LayerPlanner::compute_ready_first(int ordinal, std::span<const ExpertKey> keys,
                                       std::span<const std::uint32_t> tokens, bool with_shared) {
  const auto copy_of = [&](std::size_t i) { return slots_.holds(keys[i]) ? slots_.ready(keys[i]) : no_op; };
  order_.resize(keys.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::stable_sort(order_.begin(), order_.end(),
                   [&](std::size_t a, std::size_t b) { return copy_of(a) < copy_of(b); });
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const auto key = keys.subspan(order_[i], 1);
    compute_set(ordinal, key, key, tokens.subspan(order_[i], 1), tokens[order_[i]], with_shared && i == 0);
  }
}

}  // namespace pregate::sim
