// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {
namespace {

float q8_0_value(const std::uint8_t* block, int i) {
  const Float16 scale{static_cast<std::uint16_t>(block[0] | (block[1] << 8U))};
  return to_float(scale) * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
}

float mxfp4_value(const std::uint8_t* block, int i) {
  constexpr float magnitudes[8] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  const unsigned pair = block[1 + i % 16];
  const unsigned code = i < 16 ? pair & 0xFU : pair >> 4U;
  if (block[0] == 255) return std::numeric_limits<float>::quiet_NaN();
  const float value = std::ldexp(magnitudes[code & 7U], block[0] - 127);
  return (code & 8U) != 0 ? -value : value;
}

}  // namespace

template <class Element>
void dequantize(const DequantizeArgs<Element>& args) {
  check(args);
  const auto value = args.format == BlockFormat::q8_0 ? q8_0_value : mxfp4_value;
  const std::uint8_t* block = args.blocks;
  Element* to = args.values;
  for (std::int32_t n = 0; n < args.count; ++n, block += block_bytes(args.format)) {
    for (int i = 0; i < block_values; ++i) *to++ = from_float<Element>(value(block, i));
  }
}

template void dequantize(const DequantizeArgs<float>&);
template void dequantize(const DequantizeArgs<Float16>&);
template void dequantize(const DequantizeArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
