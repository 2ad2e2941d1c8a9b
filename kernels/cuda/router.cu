// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int router_threads = 128;
constexpr int tokens_per_block = router_threads / warp_threads;

struct Choice {
  float logit;
  int expert;
};

/// Larger logits first, then lower experts.
__device__ bool comes_before(Choice a, Choice b) {
  return a.logit > b.logit || (a.logit == b.logit && a.expert < b.expert);
}

/// exp(logit - largest), and 1 for the largest itself when it is infinite.
__device__ float share(float logit, float largest) { return logit == largest ? 1.0F : expf(logit - largest); }

/// One warp a token; lane l holds the logits of experts l, l + 32, ... in registers. Each round finds the
/// first choice after the previous round's, so nothing has to be marked as taken.
template <class Element, int logits_per_lane>
__global__ void __launch_bounds__(router_threads) router_kernel(RouterArgs<Element> args) {
  const int lane = static_cast<int>(lane_index());
  const long long token = static_cast<long long>(blockIdx.x) * tokens_per_block + warp_index();
  if (token >= args.tokens) return;  // the whole warp

  // Beyond the last expert is minus infinity at a higher index: after every expert, so never chosen.
  float logits[logits_per_lane];
#pragma unroll
  for (int i = 0; i < logits_per_lane; ++i) {
    const int expert = i * warp_threads + lane;
    const float logit = expert < args.experts ? widen(args.logits[token * args.experts + expert]) : -INFINITY;
    logits[i] = isnan(logit) ? -INFINITY : logit;
  }

  std::int32_t* ids = args.expert_ids + token * args.top_k;
  float* weights = args.gate_weights + token * args.top_k;
  Choice choice{INFINITY, -1};
  float largest = 0;
  float sum = 0;
  for (int k = 0; k < args.top_k; ++k) {
    // In this lane experts ascend with i, so of equal logits the first stays. NaN: none yet (all compare
    // false).
    const int previous = (choice.expert - lane + warp_threads) / warp_threads - 1;  // rounds down
    float best_logit = NAN;
    int best_i = logits_per_lane;
#pragma unroll
    for (int i = 0; i < logits_per_lane; ++i) {
      const bool is_left = logits[i] < choice.logit || (logits[i] == choice.logit && i > previous);
      if (is_left && !(best_logit >= logits[i])) {
        best_logit = logits[i];
        best_i = i;
      }
    }
    Choice best{best_i < logits_per_lane ? best_logit : -INFINITY, best_i * warp_threads + lane};
#pragma unroll
    for (int distance = warp_threads / 2; distance > 0; distance /= 2) {
      const Choice other{__shfl_xor_sync(whole_warp, best.logit, distance),
                         __shfl_xor_sync(whole_warp, best.expert, distance)};
      if (comes_before(other, best)) best = other;
    }
    choice = best;
    if (k == 0) largest = choice.logit;
    const float chosen_share = share(choice.logit, largest);
    sum += chosen_share;
    if (k % warp_threads == lane) {
      ids[k] = choice.expert;
      weights[k] = chosen_share;
    }
  }

  if (args.weights == GateWeights::softmax) {
    sum = 0;
#pragma unroll
    for (int i = 0; i < logits_per_lane; ++i)
      if (i * warp_threads + lane < args.experts) sum += share(logits[i], largest);
    sum = warp_sum(sum);
  }
  for (int k = lane; k < args.top_k; k += warp_threads) weights[k] /= sum;  // each lane what it wrote itself
}

template <int logits_per_lane, class Element>
void launch_router(const RouterArgs<Element>& args, Stream stream) {
  const auto blocks = (static_cast<unsigned int>(args.tokens) + tokens_per_block - 1) / tokens_per_block;
  launch("router", router_kernel<Element, logits_per_lane>, {dim3(blocks), router_threads, stream}, args);
}

}  // namespace

template <class Element>
void router(const RouterArgs<Element>& args, Stream stream) {
  check(args);
  if (args.tokens == 0) return;
  if (args.experts <= 2 * warp_threads) {
    launch_router<2>(args, stream);
  } else if (args.experts <= 8 * warp_threads) {
    launch_router<8>(args, stream);
  } else {
    static_assert(max_experts == 32 * warp_threads);
    launch_router<32>(args, stream);
  }
}

template void router(const RouterArgs<float>&, Stream);
template void router(const RouterArgs<Float16>&, Stream);
template void router(const RouterArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
