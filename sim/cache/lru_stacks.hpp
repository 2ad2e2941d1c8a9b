// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/cache/stack_distances.hpp"

namespace pregate::cache {

/// LRU of every capacity, in slots. Why larger caches hold what smaller ones do although batches are atomic:
/// let S(C) be the residents of a cache of C slots, S(C) a subset of S(C+1) that has at most one expert less,
/// B a batch. Recency is the same in all of them: an expert's last activation.
/// - |B| <= C: all of B stays, and of the others the C - |B| most recent. S(C+1) has one other more at most,
///   and keeps one more: what S(C) keeps is among it.
/// - |B| > C: nobody else stays. Residents of B do, and of its other members the first in router order, until
///   the cache is full. If S(C+1) has one more resident of B, either that one is among the first that S(C)
///   takes in, and S(C+1) takes in the next one instead; or it is not, and both take in the same ones.
/// - Residents are held: nobody leaves, and the members take what room there is, in router order. Who is not
///   full holds all that there ever was.
/// So S(C) are the first C of one row, the stack. Its first |B| places after a batch follow from the second
/// case, the others from the first: of those who were in the first C places and have no place yet, the most
/// recent one gets place C.
class LruStacks final : public StackDistances {
 public:
  /// Of the geometry's domains and keys; its capacities say nothing. Precondition: `start` is empty.
  explicit LruStacks(const CacheGeometry& geometry);

  void access(std::uint32_t domain, std::span<const ExpertKey> activated, std::uint32_t* distances) override;
  void access_held(std::uint32_t domain, std::span<const ExpertKey> activated,
                   std::uint32_t* distances) override;
  [[nodiscard]] std::uint32_t depth(std::uint32_t domain) const override {
    return static_cast<std::uint32_t>(stacks_[domain].size());
  }

 private:
  /// Marks a batch's members as used now; returns how many of them the stack has.
  std::size_t mark(std::span<const ExpertKey> activated, std::uint32_t* distances);
  [[nodiscard]] bool is_member(ExpertKey key) const { return last_used_[key] > before_batch_; }
  /// Its place in the batch.
  [[nodiscard]] std::size_t index_of(ExpertKey key) const {
    return static_cast<std::size_t>(last_used_[key] - before_batch_ - 1);
  }
  void set_aside(ExpertKey key);

  std::vector<std::vector<ExpertKey>> stacks_;  // by domain
  std::vector<std::uint64_t> last_used_;        // by key: larger is more recent; 0: never
  std::uint64_t before_batch_ = 0, clock_ = 0;
  // Of a batch: who has no place yet, the most recent first, in [first_, last_) of aside_.
  std::vector<ExpertKey> aside_;
  std::size_t first_ = 0, last_ = 0;
  std::vector<std::uint8_t> placed_;  // by member
};

}  // namespace pregate::cache
