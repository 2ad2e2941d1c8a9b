// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Sums over the threads of a warp or block, in an order that is always the same. Every thread of the warp or
/// block must take part.
namespace pregate::kernels::cuda {

inline constexpr unsigned int whole_warp = 0xffffffffU;
inline constexpr int warp_threads = 32;

__device__ inline unsigned int lane_index() { return threadIdx.x % warp_threads; }
__device__ inline unsigned int warp_index() { return threadIdx.x / warp_threads; }

/// The sum, in every lane; the same bits in each, as x + y and y + x are.
template <class Value>
__device__ Value warp_sum(Value value) {
#pragma unroll
  for (int distance = warp_threads / 2; distance > 0; distance /= 2)
    value += __shfl_xor_sync(whole_warp, value, distance);
  return value;
}

/// The sum of the values of this and the lower lanes.
template <class Value>
__device__ Value warp_inclusive_scan(Value value) {
#pragma unroll
  for (int distance = 1; distance < warp_threads; distance *= 2) {
    const Value lower = __shfl_up_sync(whole_warp, value, distance);
    if (lane_index() >= static_cast<unsigned int>(distance)) value += lower;
  }
  return value;
}

template <class Value>
struct ScanResult {
  Value before;  // the sum over the lower threads
  Value total;   // the sum over all threads
};

/// Scan over a block of `threads` threads, a multiple of 32. May be called again at once.
template <int threads, class Value>
__device__ ScanResult<Value> block_scan(Value value) {
  constexpr int warps = threads / warp_threads;
  __shared__ Value warp_totals[warps];
  const Value inclusive = warp_inclusive_scan(value);
  if (lane_index() == warp_threads - 1) warp_totals[warp_index()] = inclusive;
  __syncthreads();
  ScanResult<Value> result{inclusive - value, Value{}};
#pragma unroll
  for (int warp = 0; warp < warps; ++warp) {
    if (static_cast<unsigned int>(warp) < warp_index()) result.before += warp_totals[warp];
    result.total += warp_totals[warp];
  }
  __syncthreads();  // the next call writes warp_totals
  return result;
}

/// The sum over a block, in every thread. May be called again at once.
template <int threads, class Value>
__device__ Value block_sum(Value value) {
  constexpr int warps = threads / warp_threads;
  __shared__ Value warp_sums[warps];
  const Value sum = warp_sum(value);
  if (lane_index() == 0) warp_sums[warp_index()] = sum;
  __syncthreads();
  Value total{};
#pragma unroll
  for (int warp = 0; warp < warps; ++warp) total += warp_sums[warp];
  __syncthreads();
  return total;
}

}  // namespace pregate::kernels::cuda
