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
  for (int i = 0; i < block_values(BlockFormat::q8_0); ++i)
    to[i] = from_float<Element>(scale * static_cast<float>(static_cast<std::int8_t>(block[2 + i])));
}

template <class Element>
void unpack_mxfp4(const std::uint8_t* block, Element* to) {
  constexpr float values[16] = {0,     0.5F,  1,  1.5F,  2,  3,  4,  6,  //
                                -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};
  const float scale =
      block[0] == 255 ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, block[0] - 127);
  constexpr int half = block_values(BlockFormat::mxfp4) / 2;
  for (int i = 0; i < half; ++i) {
    const unsigned pair = block[1 + i];
    to[i] = from_float<Element>(scale * values[pair & 0xFU]);
    to[i + half] = from_float<Element>(scale * values[pair >> 4U]);
  }
}

float half_at(const std::uint8_t* bytes) {
  return to_float(Float16{static_cast<std::uint16_t>(bytes[0] | (bytes[1] << 8U))});
}

/// Of 32 values: their 6-bit scale and minimum, out of 12 bytes. Those of the first four parts are the lower
/// six bits of bytes 0..3 and 4..7, whose upper two are the upper two of the others'.
struct Scales {
  unsigned scale, minimum;
};
Scales scales_of_part(const std::uint8_t* packed, int part) {
  const auto byte = [packed](int at) { return static_cast<unsigned>(packed[at]); };
  if (part < 4) return {byte(part) & 63U, byte(part + 4) & 63U};
  return {(byte(part + 4) & 0xFU) | (byte(part - 4) >> 6U) << 4U, byte(part + 4) >> 4U | (byte(part) >> 6U)
                                                                                             << 4U};
}

template <class Element>
void unpack_q4_k(const std::uint8_t* block, Element* to) {
  const float scale = half_at(block), minimum = half_at(block + 2);
  for (int part = 0; part < 8; ++part) {
    const Scales scales = scales_of_part(block + 4, part);
    // Exact: 11 bits by 6 bits, and by 4 bits below.
    const float step = scale * static_cast<float>(scales.scale);
    const float lowest = minimum * static_cast<float>(scales.minimum);
    const std::uint8_t* const numbers = block + 16 + part / 2 * 32;  // two parts share their bytes
    for (int i = 0; i < 32; ++i) {
      const unsigned number = part % 2 == 0 ? numbers[i] & 0xFU : numbers[i] >> 4U;
      to[part * 32 + i] = from_float<Element>(step * static_cast<float>(number) - lowest);
    }
  }
}

template <class Element>
using Unpack = void (*)(const std::uint8_t*, Element*);
template <class Element>
Unpack<Element> unpack_of(BlockFormat format) {
  switch (format) {
    case BlockFormat::q8_0:
      return unpack_q8_0<Element>;
    case BlockFormat::mxfp4:
      return unpack_mxfp4<Element>;
    case BlockFormat::q4_k:
      return unpack_q4_k<Element>;
  }
  return nullptr;
}

}  // namespace

template <class Element>
void dequantize(const DequantizeArgs<Element>& args) {
  check(args);
  const Unpack<Element> unpack = unpack_of<Element>(args.format);
  const std::uint8_t* block = args.blocks;
  for (std::int32_t n = 0; n < args.count; ++n, block += block_bytes(args.format))
    unpack(block, args.values + std::int64_t{n} * block_values(args.format));
}

template void dequantize(const DequantizeArgs<float>&);
template void dequantize(const DequantizeArgs<Float16>&);
template void dequantize(const DequantizeArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
