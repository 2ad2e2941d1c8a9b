// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int dequantize_threads = 256;
// Constants, as device code may not call the functions.
template <BlockFormat format>
constexpr int values_each = block_values(format);
template <BlockFormat format>
constexpr int bytes_each = block_bytes(format);

__device__ float half_at(const std::uint8_t* bytes) {
  return widen(Float16{static_cast<std::uint16_t>(bytes[0] | (bytes[1] << 8))});
}

__device__ float q8_0_value(const std::uint8_t* block, int i) {
  return half_at(block) * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
}

__device__ float mxfp4_value(const std::uint8_t* block, int i) {
  const unsigned int scale = block[0];
  const unsigned int pair = block[1 + i % 16];
  const unsigned int code = i < 16 ? pair & 0xFU : pair >> 4;
  const unsigned int exponent = (code >> 1) & 3U, mantissa = code & 1U;
  // 1.m x 2^(e - 1), and below that halves.
  const float magnitude = exponent == 0 ? 0.5F * static_cast<float>(mantissa)
                                        : __uint_as_float(((exponent + 126U) << 23) | (mantissa << 22));
  // 2^(scale - 127): a number whose exponent field is the scale, and 2^-127 is not a normal one.
  unsigned int bits = scale << 23;
  if (scale == 0) bits = 1U << 22;
  if (scale == 255U) bits |= 1U << 22;  // NaN
  const float value = magnitude * __uint_as_float(bits);
  return (code & 8U) != 0 ? -value : value;
}

/// Products are exact (11 by 6 by 4 bits), so that it makes no difference whether the difference is fused.
__device__ float q4_k_value(const std::uint8_t* block, int i) {
  const int part = i / 32;  // which has a scale and a minimum of its own
  const std::uint8_t* const packed = block + 4;
  unsigned int scale, minimum;
  if (part < 4) {
    scale = packed[part] & 63U;
    minimum = packed[part + 4] & 63U;
  } else {
    scale = (packed[part + 4] & 0xFU) | ((packed[part - 4] & 0xC0U) >> 2);
    minimum = (packed[part + 4] >> 4) | ((packed[part] & 0xC0U) >> 2);
  }
  const unsigned int pair = block[16 + part / 2 * 32 + i % 32];
  const unsigned int number = part % 2 == 0 ? pair & 0xFU : pair >> 4;
  return half_at(block) * static_cast<float>(scale) * static_cast<float>(number) -
         half_at(block + 2) * static_cast<float>(minimum);
}

template <BlockFormat format>
__device__ float value_of(const std::uint8_t* block, int i) {
  if constexpr (format == BlockFormat::q8_0) return q8_0_value(block, i);
  if constexpr (format == BlockFormat::mxfp4) return mxfp4_value(block, i);
  if constexpr (format == BlockFormat::q4_k) return q4_k_value(block, i);
}

/// `number` is the BlockFormat's.
template <class Element, int number>
__global__ void __launch_bounds__(dequantize_threads) dequantize_kernel(DequantizeArgs<Element> args) {
  constexpr auto format = static_cast<BlockFormat>(number);
  constexpr int in_block = values_each<format>;
  const long long size = static_cast<long long>(args.count) * in_block;
  const long long threads = static_cast<long long>(gridDim.x) * dequantize_threads;
  for (long long i = static_cast<long long>(blockIdx.x) * dequantize_threads + threadIdx.x; i < size;
       i += threads) {
    const std::uint8_t* const block = args.blocks + i / in_block * bytes_each<format>;
    narrow(value_of<format>(block, static_cast<int>(i % in_block)), args.values[i]);
  }
}

}  // namespace

template <class Element>
void dequantize(const DequantizeArgs<Element>& args, Stream stream) {
  check(args);
  if (args.count == 0) return;
  const long long size = static_cast<long long>(args.count) * block_values(args.format);
  const long long blocks = std::min((size + dequantize_threads - 1) / dequantize_threads, 0x7fffffffLL);
  const LaunchShape shape{dim3(static_cast<unsigned int>(blocks)), dequantize_threads, stream};
  switch (args.format) {
    case BlockFormat::q8_0:
      return launch("dequantize", dequantize_kernel<Element, static_cast<int>(BlockFormat::q8_0)>, shape,
                    args);
    case BlockFormat::mxfp4:
      return launch("dequantize", dequantize_kernel<Element, static_cast<int>(BlockFormat::mxfp4)>, shape,
                    args);
    case BlockFormat::q4_k:
      return launch("dequantize", dequantize_kernel<Element, static_cast<int>(BlockFormat::q4_k)>, shape,
                    args);
  }
}

template void dequantize(const DequantizeArgs<float>&, Stream);
template void dequantize(const DequantizeArgs<Float16>&, Stream);
template void dequantize(const DequantizeArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
