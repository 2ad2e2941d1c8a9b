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

using kernels::block_values;
using Block = std::span<const float, block_values>;

float largest(Block values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::fabs(value));
  return most;
}

void pack_q8_0(Block values, std::byte* to) {
  const kernels::Float16 scale = kernels::to_float16(largest(values) / 127);
  const float step = kernels::to_float(scale);
  to[0] = static_cast<std::byte>(scale.bits & 0xFFU);
  to[1] = static_cast<std::byte>(scale.bits >> 8U);
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

}  // namespace

void pack_blocks(std::span<const float> values, kernels::BlockFormat format, std::span<std::byte> to) {
  const std::size_t blocks = values.size() / block_values;
  const auto bytes = static_cast<std::size_t>(kernels::block_bytes(format));
  if (values.size() % block_values != 0 || to.size() != blocks * bytes)
    throw std::invalid_argument("not a whole number of blocks");
  const auto pack = format == kernels::BlockFormat::q8_0 ? pack_q8_0 : pack_mxfp4;
  for (std::size_t n = 0; n < blocks; ++n)
    pack(values.subspan(n * block_values).first<block_values>(), to.data() + n * bytes);
}

}  // namespace pregate::runtime
