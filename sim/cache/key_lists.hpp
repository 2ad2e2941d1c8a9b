// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Doubly linked lists of experts in one array: every key is in at most one list. The lists are rings through
/// a sentinel each, and a key outside any list is a ring of its own, so linking and unlinking have no
/// branches. No allocation after construction.
class KeyLists {
 public:
  KeyLists(std::uint32_t lists, std::uint32_t keys) : keys_(keys), sizes_(lists), links_(keys + lists) {
    for (std::uint32_t node = 0; node < links_.size(); ++node) links_[node] = {node, node};
  }

  [[nodiscard]] ExpertKey front(std::uint32_t list) const { return named(links_[keys_ + list].next); }
  [[nodiscard]] ExpertKey back(std::uint32_t list) const { return named(links_[keys_ + list].previous); }
  [[nodiscard]] ExpertKey next(ExpertKey key) const { return named(links_[key].next); }
  [[nodiscard]] ExpertKey previous(ExpertKey key) const { return named(links_[key].previous); }
  [[nodiscard]] std::uint32_t size(std::uint32_t list) const { return sizes_[list]; }

  void push_front(std::uint32_t list, ExpertKey key) {
    ++sizes_[list];
    link(list, key);
  }
  void remove(std::uint32_t list, ExpertKey key) {
    --sizes_[list];
    detach(key);
  }
  /// As remove(), where nobody asks for size().
  void detach(ExpertKey key) {
    unlink(key);
    links_[key] = {key, key};
  }
  /// Of a key that is in the list, or in none (which size() then does not count).
  void move_to_front(std::uint32_t list, ExpertKey key) {
    unlink(key);
    link(list, key);
  }

 private:
  struct Link {
    std::uint32_t previous, next;
  };
  [[nodiscard]] ExpertKey named(std::uint32_t node) const { return node < keys_ ? node : no_key; }
  void unlink(ExpertKey key) {
    const Link link = links_[key];
    links_[link.previous].next = link.next;
    links_[link.next].previous = link.previous;
  }
  void link(std::uint32_t list, ExpertKey key) {
    Link& sentinel = links_[keys_ + list];
    const std::uint32_t second = sentinel.next;
    links_[key] = {keys_ + list, second};
    links_[second].previous = key;
    sentinel.next = key;
  }

  std::uint32_t keys_;
  std::vector<std::uint32_t> sizes_;
  std::vector<Link> links_;
};

/// From the back of a list towards its front: the first key that may leave; no_key when none may.
template <class Evictable>
ExpertKey last_evictable(const KeyLists& lists, std::uint32_t list, const Evictable& evictable) {
  ExpertKey key = lists.back(list);
  while (key != no_key && !evictable(key)) key = lists.previous(key);
  return key;
}

}  // namespace pregate::cache
