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

template <int bytes>
constexpr bool is_q8_0 = bytes == block_bytes(BlockFormat::q8_0);

__device__ float q8_0_value(const std::uint8_t* block, int i) {
  const auto bits = static_cast<std::uint16_t>(block[0] | (block[1] << 8));
  return widen(Float16{bits}) * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
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

/// `bytes` of a block say which format it is.
template <class Element, int bytes>
__global__ void __launch_bounds__(dequantize_threads) dequantize_kernel(DequantizeArgs<Element> args) {
  const long long size = static_cast<long long>(args.count) * block_values;
  const long long threads = static_cast<long long>(gridDim.x) * dequantize_threads;
  for (long long i = static_cast<long long>(blockIdx.x) * dequantize_threads + threadIdx.x; i < size;
       i += threads) {
    const std::uint8_t* const block = args.blocks + i / block_values * bytes;
    const int place = static_cast<int>(i % block_values);
    const float value = is_q8_0<bytes> ? q8_0_value(block, place) : mxfp4_value(block, place);
    narrow(value, args.values[i]);
  }
}

}  // namespace

template <class Element>
void dequantize(const DequantizeArgs<Element>& args, Stream stream) {
  check(args);
  if (args.count == 0) return;
  const long long size = static_cast<long long>(args.count) * block_values;
  const long long blocks = std::min((size + dequantize_threads - 1) / dequantize_threads, 0x7fffffffLL);
  const LaunchShape shape{dim3(static_cast<unsigned int>(blocks)), dequantize_threads, stream};
  if (args.format == BlockFormat::q8_0) {
    launch("dequantize", dequantize_kernel<Element, block_bytes(BlockFormat::q8_0)>, shape, args);
  } else {
    launch("dequantize", dequantize_kernel<Element, block_bytes(BlockFormat::mxfp4)>, shape, args);
  }
}

template void dequantize(const DequantizeArgs<float>&, Stream);
template void dequantize(const DequantizeArgs<Float16>&, Stream);
template void dequantize(const DequantizeArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
