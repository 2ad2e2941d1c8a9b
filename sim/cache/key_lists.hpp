// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Doubly linked lists of experts, threaded through two arrays: every key is in at most one list. No
/// allocation after construction.
class KeyLists {
 public:
  KeyLists(std::uint32_t lists, std::uint32_t keys)
      : ends_(lists, {no_key, no_key, 0}), links_(keys, {no_key, no_key}) {}

  [[nodiscard]] ExpertKey front(std::uint32_t list) const { return ends_[list].front; }
  [[nodiscard]] ExpertKey back(std::uint32_t list) const { return ends_[list].back; }
  [[nodiscard]] ExpertKey next(ExpertKey key) const { return links_[key].next; }
  [[nodiscard]] ExpertKey previous(ExpertKey key) const { return links_[key].previous; }
  [[nodiscard]] std::uint32_t size(std::uint32_t list) const { return ends_[list].size; }

  void push_front(std::uint32_t list, ExpertKey key) {
    Ends& ends = ends_[list];
    links_[key] = {no_key, ends.front};
    if (ends.front == no_key) {
      ends.back = key;
    } else {
      links_[ends.front].previous = key;
    }
    ends.front = key;
    ++ends.size;
  }

  void remove(std::uint32_t list, ExpertKey key) {
    Ends& ends = ends_[list];
    const Link link = links_[key];
    if (link.previous == no_key) {
      ends.front = link.next;
    } else {
      links_[link.previous].next = link.next;
    }
    if (link.next == no_key) {
      ends.back = link.previous;
    } else {
      links_[link.next].previous = link.previous;
    }
    --ends.size;
  }

  void move_to_front(std::uint32_t list, ExpertKey key) {
    if (ends_[list].front == key) return;
    remove(list, key);
    push_front(list, key);
  }

 private:
  struct Ends {
    ExpertKey front, back;
    std::uint32_t size;
  };
  struct Link {
    ExpertKey previous, next;
  };
  std::vector<Ends> ends_;
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
