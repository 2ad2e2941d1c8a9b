// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cache/lru_stacks.hpp"

#include <algorithm>

namespace pregate::cache {

LruStacks::LruStacks(const CacheGeometry& geometry)
    : stacks_(geometry.domains),
      place_(geometry.keys()),
      last_used_(geometry.keys()),
      batch_of_(geometry.keys()) {}

std::size_t LruStacks::look_up(const std::vector<ExpertKey>& stack, std::span<const ExpertKey> activated,
                               std::uint32_t* distances) {
  ++batch_;
  std::size_t deepest = 0, unknown = 0;
  for (std::size_t i = 0; i < activated.size(); ++i) {
    const ExpertKey key = activated[i];
    const std::uint32_t place = place_[key];
    distances[i] = place == 0 ? infinite : place;
    unknown += place == 0 ? 1U : 0U;
    deepest = std::max<std::size_t>(deepest, place);
    batch_of_[key] = batch_;
    last_used_[key] = ++clock_;
  }
  return unknown > 0 ? stack.size() + unknown : deepest;
}

void LruStacks::place(std::vector<ExpertKey>& stack, std::size_t at, ExpertKey key) {
  stack[at] = key;
  place_[key] = static_cast<std::uint32_t>(at + 1);
}

void LruStacks::access(std::uint32_t domain, std::span<const ExpertKey> activated, std::uint32_t* distances) {
  std::vector<ExpertKey>& stack = stacks_[domain];
  const std::size_t deepest = look_up(stack, activated, distances);
  before_.assign(stack.begin(), stack.begin() + static_cast<std::ptrdiff_t>(std::min(deepest, stack.size())));
  if (deepest > stack.size()) stack.resize(deepest);
  place_members(stack, activated);
  place_others(stack, activated.size(), deepest);
}

/// A cache of C slots, fewer than there are members, keeps its residents among them and takes in others in
/// their order.
void LruStacks::place_members(std::vector<ExpertKey>& stack, std::span<const ExpertKey> activated) {
  for (const ExpertKey key : activated) place_[key] = 0;
  std::size_t next = 0;
  for (std::size_t at = 0; at < activated.size(); ++at) {
    const ExpertKey there = at < before_.size() ? before_[at] : no_key;
    if (there != no_key && batch_of_[there] == batch_ && place_[there] == 0) {
      place(stack, at, there);
      continue;
    }
    while (place_[activated[next]] != 0) ++next;
    place(stack, at, activated[next]);
  }
}

void LruStacks::set_aside(ExpertKey key) {
  // Most often it is the least recent of them.
  auto at = aside_.begin();
  while (at != aside_.end() && last_used_[*at] < last_used_[key]) ++at;
  aside_.insert(at, key);
}

void LruStacks::place_others(std::vector<ExpertKey>& stack, std::size_t members, std::size_t deepest) {
  aside_.clear();
  const auto set_aside_other = [&](std::size_t at) {
    if (at < before_.size() && batch_of_[before_[at]] != batch_) set_aside(before_[at]);
  };
  for (std::size_t at = 0; at < members; ++at) set_aside_other(at);
  for (std::size_t at = members; at < deepest; ++at) {
    set_aside_other(at);
    place(stack, at, aside_.back());
    aside_.pop_back();
  }
}

void LruStacks::access_held(std::uint32_t domain, std::span<const ExpertKey> activated,
                            std::uint32_t* distances) {
  std::vector<ExpertKey>& stack = stacks_[domain];
  look_up(stack, activated, distances);
  for (const ExpertKey key : activated) {
    if (place_[key] != 0) continue;
    stack.push_back(key);
    place_[key] = static_cast<std::uint32_t>(stack.size());
  }
}

}  // namespace pregate::cache
