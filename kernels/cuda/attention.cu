// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cfloat>

#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int attention_warps = 4;
constexpr int attention_threads = attention_warps * warp_threads;

/// A softmax over rows as they come: the largest score, the sum of exp(score - top), and of that times the
/// values, of which a lane has every 32nd. No exponential exceeds 1.
template <int each>
struct RunningSoftmax {
  float top = -FLT_MAX;
  float total = 0;
  float sums[each] = {};

  template <class Element>
  __device__ void add(float score, const Element* value, int value_dim) {
    const float new_top = fmaxf(top, score);
    const float kept = expf(top - new_top), weight = expf(score - new_top);
    top = new_top;
    total = fmaf(total, kept, weight);
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int d = static_cast<int>(lane_index()) + i * warp_threads;
      if (d < value_dim) sums[i] = fmaf(weight, widen(value[d]), sums[i] * kept);
    }
  }
};

/// A block a token and head. Its warps take every fourth row each, and what they found is put together at the
/// end, always in the same order. A lane has every 32nd value of a head, at most `each`.
template <class Element, int each>
__global__ void __launch_bounds__(attention_threads) attention_kernel(AttentionArgs<Element> args) {
  __shared__ float tops[attention_warps], totals[attention_warps];
  __shared__ float sums[attention_warps][each * warp_threads];
  const int lane = static_cast<int>(lane_index()), warp = static_cast<int>(warp_index());
  const int token = static_cast<int>(blockIdx.x) / args.heads;
  const int kv_head = static_cast<int>(blockIdx.x) % args.heads / (args.heads / args.kv_heads);
  const long long first = args.firsts[token];
  const int count = args.counts[token];

  float query[each];
  const Element* const stored = args.queries + static_cast<long long>(blockIdx.x) * args.head_dim;
#pragma unroll
  for (int i = 0; i < each; ++i) {
    const int d = lane + i * warp_threads;
    query[i] = d < args.head_dim ? widen(stored[d]) : 0.0F;
  }
  RunningSoftmax<each> found;
  for (int row = warp; row < count; row += attention_warps) {
    const long long at = (first + row) * args.kv_heads + kv_head;
    const Element* const key = args.keys + at * args.head_dim;
    float product = 0;
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int d = lane + i * warp_threads;
      if (d < args.head_dim) product = fmaf(query[i], widen(key[d]), product);
    }
    // fmaxf takes the number of a number and a NaN.
    const float score = fminf(fmaxf(args.scale * warp_sum(product), -FLT_MAX), FLT_MAX);
    found.add(score, args.values + at * args.value_dim, args.value_dim);
  }
  if (lane == 0) {
    tops[warp] = found.top;
    totals[warp] = found.total;
  }
#pragma unroll
  for (int i = 0; i < each; ++i) sums[warp][lane + i * warp_threads] = found.sums[i];
  __syncthreads();

  float top = -FLT_MAX, total = 0;
#pragma unroll
  for (int other = 0; other < attention_warps; ++other) top = fmaxf(top, tops[other]);
#pragma unroll
  for (int other = 0; other < attention_warps; ++other) total += totals[other] * expf(tops[other] - top);
  Element* const output = args.output + static_cast<long long>(blockIdx.x) * args.value_dim;
  for (int d = static_cast<int>(threadIdx.x); d < args.value_dim; d += attention_threads) {
    float sum = 0;
#pragma unroll
    for (int other = 0; other < attention_warps; ++other)
      sum = fmaf(sums[other][d], expf(tops[other] - top), sum);
    narrow(total > 0 ? sum / total : 0.0F, output[d]);
  }
}

}  // namespace

template <class Element>
void attention(const AttentionArgs<Element>& args, Stream stream) {
  check(args);
  if (args.tokens == 0) return;
  const LaunchShape shape{dim3(static_cast<unsigned int>(args.tokens * args.heads)), attention_threads,
                          stream};
  const int widest = std::max(args.head_dim, args.value_dim);
  if (widest <= 2 * warp_threads) {
    launch("attention", attention_kernel<Element, 2>, shape, args);
  } else if (widest <= 4 * warp_threads) {
    launch("attention", attention_kernel<Element, 4>, shape, args);
  } else {
    launch("attention", attention_kernel<Element, 8>, shape, args);
  }
}

template void attention(const AttentionArgs<float>&, Stream);
template void attention(const AttentionArgs<Float16>&, Stream);
template void attention(const AttentionArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
