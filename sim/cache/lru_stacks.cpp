// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/lru_stacks.hpp"

namespace pregate::cache {

LruStacks::LruStacks(const CacheGeometry& geometry)
    : stacks_(geometry.domains), last_used_(geometry.keys()), aside_(geometry.keys()) {}

std::size_t LruStacks::mark(std::span<const ExpertKey> activated, std::uint32_t* distances) {
  before_batch_ = clock_;
  std::size_t known = 0;
  for (std::size_t i = 0; i < activated.size(); ++i) {
    std::uint64_t& used = last_used_[activated[i]];
    known += used > 0 ? 1U : 0U;
    used = ++clock_;
    distances[i] = infinite;
  }
  return known;
}

void LruStacks::set_aside(ExpertKey key) {
  ExpertKey* const aside = aside_.data();
  std::size_t at = last_++;
  // Most often it is the least recent of them.
  for (; at > first_ && last_used_[aside[at - 1]] < last_used_[key]; --at) aside[at] = aside[at - 1];
  aside[at] = key;
}

void LruStacks::access(std::uint32_t domain, std::span<const ExpertKey> activated, std::uint32_t* distances) {
  std::vector<ExpertKey>& stack = stacks_[domain];
  const std::size_t members = activated.size(), size = stack.size();
  const std::size_t known = mark(activated, distances);
  // Below the deepest member nothing changes; with new ones all of the stack may.
  const bool has_new = known < members;
  stack.resize(size + members - known);
  placed_.assign(members, 0);
  first_ = last_ = 0;
  std::size_t found = 0, next = 0;
  for (std::size_t at = 0; at < stack.size() && (at < members || found < known || has_new); ++at) {
    bool has_member = false;
    std::size_t member = 0;
    if (at < size && is_member(stack[at])) {
      member = index_of(stack[at]);
      distances[member] = static_cast<std::uint32_t>(at + 1);
      has_member = placed_[member] == 0;
      ++found;
    } else if (at < size) {
      set_aside(stack[at]);
    }
    if (at >= members) {
      stack[at] = aside_[first_++];
      continue;
    }
    // A cache of fewer slots than there are members keeps its residents among them and takes in others in
    // their order.
    while (!has_member && placed_[next] != 0) ++next;
    member = has_member ? member : next;
    placed_[member] = 1;
    stack[at] = activated[member];
  }
}

void LruStacks::access_held(std::uint32_t domain, std::span<const ExpertKey> activated,
                            std::uint32_t* distances) {
  std::vector<ExpertKey>& stack = stacks_[domain];
  std::size_t left = mark(activated, distances);
  for (std::size_t at = 0; left > 0; ++at) {
    if (!is_member(stack[at])) continue;
    distances[index_of(stack[at])] = static_cast<std::uint32_t>(at + 1);
    --left;
  }
  for (std::size_t i = 0; i < activated.size(); ++i)
    if (distances[i] == infinite) stack.push_back(activated[i]);
}

}  // namespace pregate::cache
