// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace pregate::cache {

/// splitmix64 (Steele et al., OOPSLA 2014).
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}

  std::uint64_t operator()() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  /// Uniform in [0, n), n < 2^32: the high half of a 64 x 32 bit product; bias below 2^-32.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>((((*this)() >> 32U) * n) >> 32U); }
  /// Uniform in [0, 1).
  double unit() { return static_cast<double>((*this)() >> 11U) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace pregate::cache
