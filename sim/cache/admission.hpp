// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "sim/cache/expert_key.hpp"

namespace pregate {

/// What an eviction rule may do about an expert that comes in.
enum class Admission {
  always,  ///< make room for it
  bypass,  ///< keep it out, where it would evict it first
};

namespace cache {

/// Says of misses which may enter a cache, before its eviction rule is asked to make room. Whoever is turned
/// away is fetched for the layer that computes and leaves with it.
class AdmissionFilter {
 public:
  AdmissionFilter() = default;
  virtual ~AdmissionFilter() = default;
  AdmissionFilter(const AdmissionFilter&) = delete;
  AdmissionFilter& operator=(const AdmissionFilter&) = delete;

  /// A batch of `domain`, once, before any of its misses is admitted: who is activated, and of them who
  /// missed, in the order in which they would be admitted. `enters` comes with a 1 for each miss; a 0 turns
  /// it away.
  virtual void choose(std::uint32_t domain, std::span<const ExpertKey> activated,
                      std::span<const ExpertKey> misses, std::span<std::uint8_t> enters) = 0;
};

}  // namespace cache
}  // namespace pregate
