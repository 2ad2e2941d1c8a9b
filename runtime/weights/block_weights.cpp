// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/block_weights.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "kernels/element.hpp"

namespace pregate::runtime {

namespace {

using Block = std::span<const float>;

float largest(Block values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::fabs(value));
  return most;
}

void put_half(kernels::Float16 value, std::byte* to) {
  to[0] = static_cast<std::byte>(value.bits & 0xFFU);
  to[1] = static_cast<std::byte>(value.bits >> 8U);
}

void pack_q8_0(Block values, std::byte* to) {
  const kernels::Float16 scale = kernels::to_float16(largest(values) / 127);
  const float step = kernels::to_float(scale);
  put_half(scale, to);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float whole = step > 0 ? std::nearbyint(values[i] / step) : 0;
    to[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::clamp(whole, -127.0F, 127.0F)));
  }
}

unsigned nearest_fp4(float value) {
  constexpr std::array<float, 8> magnitudes{0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  unsigned best = 0;
  for (unsigned code = 1; code < magnitudes.size(); ++code) {
    if (std::fabs(std::fabs(value) - magnitudes[code]) < std::fabs(std::fabs(value) - magnitudes[best]))
      best = code;
  }
  return value < 0 ? best | 8U : best;
}

void pack_mxfp4(Block values, std::byte* to) {
  // 6 is the largest value at scale 1.
  const float most = largest(values);
  const int exponent = most > 0 ? static_cast<int>(std::ceil(std::log2(most / 6))) : -127;
  const int stored = std::clamp(exponent + 127, 0, 254);
  to[0] = static_cast<std::byte>(stored);
  for (std::size_t i = 0; i < 16; ++i) {
    const unsigned low = nearest_fp4(std::ldexp(values[i], 127 - stored));
    const unsigned high = nearest_fp4(std::ldexp(values[i + 16], 127 - stored));
    to[1 + i] = static_cast<std::byte>(low | (high << 4U));
  }
}

/// The nearest of so many steps from 0; 0 where a step is nothing.
unsigned nearest_step(float value, float step, float most) {
  return step > 0 ? static_cast<unsigned>(std::clamp(std::nearbyint(value / step), 0.0F, most)) : 0;
}

/// Each 32 values have a range from a minimum that is not above 0 to their largest value, in 15 steps. Steps
/// and minima are in turn stored as 63rds of the block's largest ones.
void pack_q4_k(Block values, std::byte* to) {
  constexpr std::size_t parts = 8, part_values = 32;
  std::array<float, parts> steps{}, minima{};
  for (std::size_t part = 0; part < parts; ++part) {
    const Block these = values.subspan(part * part_values, part_values);
    minima[part] = std::max(0.0F, -*std::min_element(these.begin(), these.end()));
    steps[part] = (std::max(0.0F, *std::max_element(these.begin(), these.end())) + minima[part]) / 15;
  }
  const kernels::Float16 scale = kernels::to_float16(largest(steps) / 63);
  const kernels::Float16 minimum = kernels::to_float16(largest(minima) / 63);
  std::fill_n(to, kernels::block_bytes(kernels::BlockFormat::q4_k), std::byte{0});
  put_half(scale, to);
  put_half(minimum, to + 2);
  for (std::size_t part = 0; part < parts; ++part) {
    const unsigned s = nearest_step(steps[part], kernels::to_float(scale), 63);
    const unsigned m = nearest_step(minima[part], kernels::to_float(minimum), 63);
    std::byte* const packed = to + 4;
    if (part < 4) {
      packed[part] |= static_cast<std::byte>(s);
      packed[part + 4] |= static_cast<std::byte>(m);
    } else {
      packed[part + 4] |= static_cast<std::byte>((s & 0xFU) | (m & 0xFU) << 4U);
      packed[part - 4] |= static_cast<std::byte>(s >> 4U << 6U);
      packed[part] |= static_cast<std::byte>(m >> 4U << 6U);
    }
    const float step = kernels::to_float(scale) * static_cast<float>(s);
    const float lowest = kernels::to_float(minimum) * static_cast<float>(m);
    for (std::size_t i = 0; i < part_values; ++i) {
      const unsigned number = nearest_step(values[part * part_values + i] + lowest, step, 15);
      to[16 + part / 2 * part_values + i] |= static_cast<std::byte>(part % 2 == 0 ? number : number << 4U);
    }
  }
}

using Pack = void (*)(Block, std::byte*);
Pack pack_of(kernels::BlockFormat format) {
  switch (format) {
    case kernels::BlockFormat::q8_0:
      return pack_q8_0;
    case kernels::BlockFormat::mxfp4:
      return pack_mxfp4;
    case kernels::BlockFormat::q4_k:
      return pack_q4_k;
  }
  throw std::invalid_argument("a format that is none");
}

}  // namespace

void pack_blocks(std::span<const float> values, kernels::BlockFormat format, std::span<std::byte> to) {
  const auto in_block = static_cast<std::size_t>(kernels::block_values(format));
  const std::size_t blocks = values.size() / in_block;
  const auto bytes = static_cast<std::size_t>(kernels::block_bytes(format));
  if (values.size() % in_block != 0 || to.size() != blocks * bytes)
    throw std::invalid_argument("not a whole number of blocks");
  const Pack pack = pack_of(format);
  for (std::size_t n = 0; n < blocks; ++n)
    pack(values.subspan(n * in_block, in_block), to.data() + n * bytes);
}

}  // namespace pregate::runtime
