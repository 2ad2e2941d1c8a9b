// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pregate::trace {

/// splitmix64 (Vigna, public domain, prng.di.unimi.it/splitmix64.c): the same numbers on every platform, as
/// the standard library's distributions are not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }

  /// 32 uniform bits.
  std::uint32_t bits32() { return static_cast<std::uint32_t>(next() >> 32U); }

  /// Uniform in [0, bound), bound >= 1; the bias of at most bound / 2^32 is below what a trace can show.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(bits32()) * bound) >> 32U);
  }

 private:
  std::uint64_t state_;
};

/// The seed of an independent stream, from a seed and up to two numbers that name it.
inline std::uint64_t seed_of(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0) {
  Random mix(seed ^ (a * 0xD6E8FEB86659FD93U));
  return Random(mix.next() ^ (b * 0xA24BAED4963EE407U)).next();
}

}  // namespace pregate::trace
