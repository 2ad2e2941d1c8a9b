// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/cache/key_heaps.hpp"

namespace pregate::cache {

/// KeyHeaps of ranks that only fall while a key is in its heap, as an activation makes an expert less likely
/// to leave. A fall is written down and costs nothing more: a key stands too high until it comes to the top,
/// and is put in its place there. Whoever follows one that left the top takes that place, from where a
/// newcomer, who is likely to leave soon, has not far to go.
class FallingHeaps : private KeyHeaps {
 public:
  explicit FallingHeaps(const CacheGeometry& geometry)
      : KeyHeaps(geometry), rank_(geometry.keys()), top_left_(geometry.domains) {}

  void push(std::uint32_t heap, ExpertKey key, std::uint64_t rank) {
    rank_[key] = rank;
    if (top_left_[heap] == 0) {
      KeyHeaps::push(heap, key, rank);
      return;
    }
    top_left_[heap] = 0;
    entries_[first_[heap]] = {rank, key};
    sift_down(heap, 0);
  }
  /// Precondition: no higher than its rank is, if it is there.
  void lower(ExpertKey key, std::uint64_t rank) { rank_[key] = rank; }
  /// Precondition: the key is in its heap.
  void remove(std::uint32_t heap, ExpertKey key) {
    close_gap(heap);
    if (place_[key] != 0) {
      KeyHeaps::remove(heap, key);
      return;
    }
    place_[key] = absent;
    top_left_[heap] = 1;
  }

  /// The key of highest rank that may leave; no_key when none may. Looks at those that may not and their
  /// children, not at all.
  template <class Evictable>
  [[nodiscard]] ExpertKey top(std::uint32_t heap, const Evictable& evictable) {
    close_gap(heap);
    Entry* const entries = &entries_[first_[heap]];
    const std::uint32_t size = size_[heap];
    if (size == 0) return no_key;
    settle(heap, 0);
    if (evictable(entries[0].key)) return entries[0].key;
    open_.clear();
    add_children(size, 0);
    while (!open_.empty()) {
      const auto highest = std::max_element(
          open_.begin(), open_.end(),
          [entries](std::uint32_t a, std::uint32_t b) { return before(entries[b], entries[a]); });
      const std::uint32_t place = *highest;
      const Entry& entry = entries[place];
      if (entry.rank != rank_[entry.key]) {  // it may no longer be the highest of the open ones
        settle(heap, place);
        continue;
      }
      if (evictable(entry.key)) return entry.key;
      *highest = open_.back();
      open_.pop_back();
      add_children(size, place);
    }
    return no_key;
  }

 private:
  /// Nobody took the place of the one who left the top.
  void close_gap(std::uint32_t heap) {
    if (top_left_[heap] == 0) return;
    top_left_[heap] = 0;
    const std::uint32_t last = --size_[heap];
    if (last == 0) return;
    Entry* const entries = &entries_[first_[heap]];
    entries[0] = entries[last];
    sift_down(heap, 0);
  }
  /// Puts whoever stands there too high in its place, until somebody stands there rightly.
  void settle(std::uint32_t heap, std::uint32_t place) {
    Entry* const entries = &entries_[first_[heap]];
    while (entries[place].rank != rank_[entries[place].key]) {
      entries[place].rank = rank_[entries[place].key];
      sift_down(heap, place);
    }
  }
  void add_children(std::uint32_t size, std::uint32_t place) {
    for (std::uint32_t child = 2 * place + 1; child <= 2 * place + 2 && child < size; ++child)
      open_.push_back(child);
  }

  std::vector<std::uint64_t> rank_;     ///< of each key, as it is
  std::vector<std::uint8_t> top_left_;  ///< by heap: its top is a gap
  std::vector<std::uint32_t> open_;
};

}  // namespace pregate::cache
