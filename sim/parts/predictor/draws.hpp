// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pregate::sim {

/// The numbers of std::mt19937_64, made a block at a time in loops that the compiler turns into vector
/// instructions (Matsumoto and Nishimura 1998; Nishimura 2000, the 64-bit variant).
class Draws {
 public:
  explicit Draws(std::uint64_t seed) {
    constexpr std::uint64_t multiplier = 6364136223846793005U;
    state_[0] = seed;
    for (std::size_t i = 1; i < size; ++i) {
      const std::uint64_t before = state_[i - 1];
      state_[i] = multiplier * (before ^ (before >> 62U)) + i;
    }
  }

  std::uint64_t operator()() {
    if (next_ == size) make_block();
    return block_[next_++];
  }

 private:
  static constexpr std::size_t size = 312, middle = 156;

  static std::uint64_t twist(std::uint64_t high, std::uint64_t low) {
    constexpr std::uint64_t low_bits = (std::uint64_t{1} << 31U) - 1, matrix = 0xb5026f5aa96619e9U;
    const std::uint64_t both = (high & ~low_bits) | (low & low_bits);
    return (both >> 1U) ^ ((std::uint64_t{0} - (both & 1U)) & matrix);
  }

  [[gnu::noinline]] void make_block() {
    std::uint64_t* const state = state_.data();
    for (std::size_t i = 0; i < middle; ++i) state[i] = state[i + middle] ^ twist(state[i], state[i + 1]);
    for (std::size_t i = middle; i + 1 < size; ++i)
      state[i] = state[i - middle] ^ twist(state[i], state[i + 1]);
    state[size - 1] = state[middle - 1] ^ twist(state[size - 1], state[0]);
    for (std::size_t i = 0; i < size; ++i) {
      std::uint64_t drawn = state[i];
      drawn ^= (drawn >> 29U) & 0x5555555555555555U;
      drawn ^= (drawn << 17U) & 0x71d67fffeda60000U;
      drawn ^= (drawn << 37U) & 0xfff7eee000000000U;
      block_[i] = drawn ^ (drawn >> 43U);
    }
    next_ = 0;
  }

  std::array<std::uint64_t, size> state_{}, block_{};
  std::size_t next_ = size;
};

}  // namespace pregate::sim
