// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The kernels that compute a layer's experts on the GPU, and what each waits for.
#include "sim/planner/layer_planner.hpp"

namespace pregate::sim {

/// One operation for the whole set, or one an expert, each waiting only for its own copy.
void LayerPlanner::compute_experts(int ordinal, std::span<const ExpertKey> keys,
                                   std::span<const ExpertKey> copied, std::span<const std::uint32_t> tokens,
                                   std::uint32_t routed, bool with_shared) {
  if (plan_.policy.compute.experts == ExpertCompute::grouped || keys.empty()) {
    if (is_cut()) return compute_in_micro_batches(ordinal, keys, with_shared);
    compute_set(ordinal, keys, copied, tokens, routed, with_shared);
    return;
  }
  if (is_cut()) return compute_ready_first(ordinal, keys, tokens, with_shared);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto key = keys.subspan(i, 1);
    compute_set(ordinal, key, key, tokens.subspan(i, 1), tokens[i], with_shared && i == 0);
  }
}

/// One experts operation for `keys`, waiting for the copies of `copied`: those of the keys that were not
/// there before.
void LayerPlanner::compute_set(int ordinal, std::span<const ExpertKey> keys,
                               std::span<const ExpertKey> copied, std::span<const std::uint32_t> tokens,
                               std::uint32_t routed, bool with_shared) {
  copies_.clear();
  for (const ExpertKey key : copied) {
    if (slots_.holds(key)) {
      slots_.wait_for_copy(key, layer_, ids_known_, copies_);
    } else if (is_decreed_hit(key)) {
      slots_.wait_for_staging(key, layer_, ids_known_, copies_);
    }
  }
  if (lookahead_.fetches_whole_layers()) {
    for (const ExpertKey key : lookahead_.fetched(ordinal)) {
      if (slots_.holds(key)) copies_.push_back(slots_.ready(key));
    }
  }
  const bool in_parts = plan_.policy.compute.experts == ExpertCompute::by_chunk && !copies_.empty();
  if (in_parts) {
    compute_by_chunk(keys, tokens, routed, with_shared);
  } else {
    issue_experts(keys, tokens, routed, with_shared);
  }
  slots_.add_reader(last_, keys);
}

/// As many operations as an expert has chunks, which follow each other: each waits for the chunk that it
/// reads.
void LayerPlanner::compute_by_chunk(std::span<const ExpertKey> keys, std::span<const std::uint32_t> tokens,
                                    std::uint32_t routed, bool with_shared) {
  const std::vector<OpId> last_chunks = copies_;
  const auto chunks = static_cast<std::uint16_t>(program_.shape().chunks);
  for (std::uint16_t part = 0; part < chunks; ++part) {
    for (std::size_t i = 0; i < copies_.size(); ++i) copies_[i] = last_chunks[i] - (chunks - 1 - part);
    issue_experts(keys, tokens, routed, with_shared, part, chunks);
  }
}

void LayerPlanner::issue_experts(std::span<const ExpertKey> keys, std::span<const std::uint32_t> tokens,
                                 std::uint32_t routed, bool with_shared, std::uint16_t part,
                                 std::uint16_t parts) {
  Work& work = program_.open(OpKind::experts, computes_, layer_);
  work.part = part;
  work.parts = parts;
  work.layer_class = layer_class_;
  work.ordinal = ordinal_;
  work.routed = routed;
  work.micro_batch = micro_batch_;
  work.with_shared = with_shared;
  program_.compute(tokens);
  if (names_experts_) {
    for (const ExpertKey key : keys) program_.use({key, slots_.slot_of(key)});
  }
  if (reads_back_) program_.after(ids_known_);
  for (const OpId copy : copies_) program_.after_copy(copy);
  if (micro_batch_ > 0) wait_for_all_copies();
  last_ = program_.close();
}

/// A kernel of its own for the experts of the second format.
void LayerPlanner::compute_low_format(bool with_shared) {
  copies_.clear();
  low_->wait_for_copies(layer_, ids_known_, copies_);
  Work& work = program_.open(OpKind::experts, computes_, layer_);
  work.layer_class = layer_class_;
  work.ordinal = ordinal_;
  work.format = low_format;
  work.routed = low_->used().routed();
  work.with_shared = with_shared && read_.keys().empty();
  program_.compute(low_->used().tokens());
  if (names_experts_) {
    // As its fetches number them: behind the slots of the first format.
    const auto first =
        static_cast<std::int32_t>(plan_.cache_slots + plan_.buffer_slots + plan_.prefill_slots);
    for (const ExpertKey key : low_->used().keys()) program_.use({key, first + low_->slot_of(key)});
  }
  program_.after(ids_known_);
  for (const OpId copy : copies_) program_.after_copy(copy);
  last_ = program_.close();
  low_->add_reader(last_);
}

/// One kernel for all of them, which waits for no copy.
void LayerPlanner::read_through() {
  if (read_.keys().empty()) return;
  Work& work = program_.open(OpKind::read_through, computes_, layer_);
  work.crosses = in_.crosses;
  work.link = in_.link;
  work.layer_class = layer_class_;
  work.ordinal = ordinal_;
  work.routed = read_.routed();
  work.with_shared = on_gpu_.keys().empty();
  program_.compute(read_.tokens());
  program_.after(ids_known_);
  last_ = program_.close();
}

}  // namespace pregate::sim
