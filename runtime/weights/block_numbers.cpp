// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/block_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace pregate::runtime {

namespace {

unsigned at(const std::byte* block, std::size_t i) { return std::to_integer<unsigned>(block[i]); }

double binary16(const std::byte* bytes) {
  const unsigned bits = at(bytes, 0) | at(bytes, 1) << 8U;
  const int exponent = static_cast<int>(bits >> 10U & 31U);
  const double mantissa = static_cast<double>(bits & 1023U) + (exponent > 0 ? 1024 : 0);
  const double magnitude = std::ldexp(mantissa, std::max(exponent, 1) - 25);
  return bits >> 15U != 0 ? -magnitude : magnitude;
}

double q8_0(const std::byte* block, std::size_t i) {
  return binary16(block) * static_cast<signed char>(block[2 + i]);
}

double mxfp4(const std::byte* block, std::size_t i) {
  const unsigned code = at(block, 1 + i % 16) >> (i < 16 ? 0U : 4U) & 15U;
  const int exponent = static_cast<int>(code >> 1U & 3U);
  const double mantissa = (code & 1U) + (exponent > 0 ? 2.0 : 0.0);
  const double magnitude = std::ldexp(mantissa, std::max(exponent, 1) - 2);
  return std::ldexp(code < 8 ? magnitude : -magnitude, std::to_integer<int>(block[0]) - 127);
}

/// Four columns of three bytes hold the scales and minima of two parts each, p and p + 4, from the lowest bit
/// on: s[p] 6 bits, upper 2 of s[p + 4]; m[p] 6 bits, upper 2 of m[p + 4]; lower 4 of s[p + 4], of m[p + 4].
double q4_k(const std::byte* block, std::size_t i) {
  const std::size_t part = i / 32, column = part % 4;
  const unsigned bits = at(block, 4 + column) | at(block, 8 + column) << 8U | at(block, 12 + column) << 16U;
  const auto field = [bits](unsigned from, unsigned width) { return bits >> from & ((1U << width) - 1U); };
  const unsigned scale = part < 4 ? field(0, 6) : field(16, 4) + 16 * field(6, 2);
  const unsigned minimum = part < 4 ? field(8, 6) : field(20, 4) + 16 * field(14, 2);
  const unsigned both = at(block, 16 + i / 64 * 32 + i % 32);
  const unsigned number = i % 64 < 32 ? both % 16 : both / 16;
  return binary16(block) * scale * number - binary16(block + 2) * minimum;
}

}  // namespace

std::vector<double> numbers_of_blocks(std::span<const std::byte> blocks, kernels::BlockFormat format) {
  const auto size = static_cast<std::size_t>(kernels::block_bytes(format));
  const auto in_block = static_cast<std::size_t>(kernels::block_values(format));
  std::vector<double> numbers(blocks.size() / size * in_block);
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    const std::byte* const block = blocks.data() + n / in_block * size;
    switch (format) {
      case kernels::BlockFormat::q8_0:
        numbers[n] = q8_0(block, n % in_block);
        break;
      case kernels::BlockFormat::mxfp4:
        numbers[n] = mxfp4(block, n % in_block);
        break;
      case kernels::BlockFormat::q4_k:
        numbers[n] = q4_k(block, n % in_block);
        break;
    }
  }
  return numbers;
}

}  // namespace pregate::runtime
