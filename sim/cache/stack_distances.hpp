// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Caches of one policy and every capacity at once, where a larger one always holds what a smaller one does
/// (Mattson, Gecsei, Slutz, Traiger: Evaluation techniques for storage hierarchies, 1970): a batch's experts
/// hit in a cache of C slots if their distance is at most C.
class StackDistances {
 public:
  /// Of who is in no cache.
  static constexpr std::uint32_t infinite = std::numeric_limits<std::uint32_t>::max();

  StackDistances() = default;
  virtual ~StackDistances() = default;
  StackDistances(const StackDistances&) = delete;
  StackDistances& operator=(const StackDistances&) = delete;

  /// The distance of each of a batch's distinct keys, in slots of the domain, before it is looked up; then
  /// caches of all capacities take it in as ExpertCache::access() does.
  virtual void access(std::uint32_t domain, std::span<const ExpertKey> activated,
                      std::uint32_t* distances) = 0;
  /// The same where every resident is held meanwhile.
  virtual void access_held(std::uint32_t domain, std::span<const ExpertKey> activated,
                           std::uint32_t* distances) = 0;
  /// Experts in a cache that has room for all of them: one of C slots holds the lesser of this and C.
  [[nodiscard]] virtual std::uint32_t depth(std::uint32_t domain) const = 0;
};

}  // namespace pregate::cache
