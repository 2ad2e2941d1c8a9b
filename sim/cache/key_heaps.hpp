// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Binary heaps of experts, one a domain, by a 64-bit rank: the highest rank on top, the lower key on a tie.
/// Each key knows its place, so that its rank can change. No allocation after construction.
class KeyHeaps {
 public:
  explicit KeyHeaps(const CacheGeometry& geometry) : first_(geometry.first_key) {
    entries_.resize(geometry.keys());
    place_.assign(geometry.keys(), absent);
    size_.assign(geometry.domains, 0);
  }

  void push(std::uint32_t heap, ExpertKey key, std::uint64_t rank) {
    const std::uint32_t place = size_[heap]++;
    entries_[first_[heap] + place] = {rank, key};
    place_[key] = place;
    sift_up(heap, place);
  }

  /// Gives `key` another rank, if it is there.
  void set(std::uint32_t heap, ExpertKey key, std::uint64_t rank) {
    const std::uint32_t place = place_[key];
    if (place == absent) return;
    entries_[first_[heap] + place].rank = rank;
    sift_down(heap, sift_up(heap, place));
  }

  void remove(std::uint32_t heap, ExpertKey key) {
    const std::uint32_t place = place_[key];
    const std::uint32_t last = --size_[heap];
    place_[key] = absent;
    if (place == last) return;
    Entry* entries = &entries_[first_[heap]];
    entries[place] = entries[last];
    place_[entries[place].key] = place;
    sift_down(heap, sift_up(heap, place));
  }

  /// The key of highest rank that may leave; no_key when none may. Walks the heap only past keys that may
  /// not.
  template <class Evictable>
  [[nodiscard]] ExpertKey top(std::uint32_t heap, const Evictable& evictable) const {
    const Entry* entries = &entries_[first_[heap]];
    const std::uint32_t size = size_[heap];
    if (size == 0) return no_key;
    if (evictable(entries[0].key)) return entries[0].key;
    const Entry* best = nullptr;
    for (std::uint32_t i = 1; i < size; ++i) {
      if (evictable(entries[i].key) && (best == nullptr || before(entries[i], *best))) best = &entries[i];
    }
    return best == nullptr ? no_key : best->key;
  }

 protected:
  struct Entry {
    std::uint64_t rank;
    ExpertKey key;
  };
  static constexpr std::uint32_t absent = 0xFFFFFFFF;
  static bool before(const Entry& a, const Entry& b) {
    return a.rank > b.rank || (a.rank == b.rank && a.key < b.key);
  }

  std::uint32_t sift_up(std::uint32_t heap, std::uint32_t place) {
    Entry* entries = &entries_[first_[heap]];
    const Entry moving = entries[place];
    while (place > 0) {
      const std::uint32_t parent = (place - 1) / 2;
      if (!before(moving, entries[parent])) break;
      entries[place] = entries[parent];
      place_[entries[place].key] = place;
      place = parent;
    }
    entries[place] = moving;
    place_[moving.key] = place;
    return place;
  }

  void sift_down(std::uint32_t heap, std::uint32_t place) {
    Entry* entries = &entries_[first_[heap]];
    const std::uint32_t size = size_[heap];
    const Entry moving = entries[place];
    while (true) {
      std::uint32_t child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size && before(entries[child + 1], entries[child])) ++child;
      if (!before(entries[child], moving)) break;
      entries[place] = entries[child];
      place_[entries[place].key] = place;
      place = child;
    }
    entries[place] = moving;
    place_[moving.key] = place;
  }

  std::vector<std::uint32_t> first_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> place_;
  std::vector<std::uint32_t> size_;
};

}  // namespace pregate::cache
