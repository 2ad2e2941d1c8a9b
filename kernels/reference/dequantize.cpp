// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {
namespace {

template <class Element>
void unpack_q8_0(const std::uint8_t* block, Element* to) {
  const float scale = to_float(Float16{static_cast<std::uint16_t>(block[0] | (block[1] << 8U))});
  for (int i = 0; i < block_values; ++i)
    to[i] = from_float<Element>(scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i])));
}

template <class Element>
void unpack_mxfp4(const std::uint8_t* block, Element* to) {
  constexpr float values[16] = {0,     0.5F,  1,  1.5F,  2,  3,  4,  6,  //
                                -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};
  const float scale =
      block[0] == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, block[0] - 127);
  for (int i = 0; i < block_values / 2; ++i) {
    const unsigned pair = block[1 + i];
    to[i] = from_float<Element>(scale * values[pair & 0xFU]);
    to[i + block_values / 2] = from_float<Element>(scale * values[pair >> 4U]);
  }
}

}  // namespace

template <class Element>
void dequantize(const DequantizeArgs<Element>& args) {
  check(args);
  const auto unpack = args.format == BlockFormat::q8_0 ? unpack_q8_0<Element> : unpack_mxfp4<Element>;
  const std::uint8_t* block = args.blocks;
  for (std::int32_t n = 0; n < args.count; ++n, block += block_bytes(args.format))
    unpack(block, args.values + std::int64_t{n} * block_values);
}

template void dequantize(const DequantizeArgs<float>&);
template void dequantize(const DequantizeArgs<Float16>&);
template void dequantize(const DequantizeArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
