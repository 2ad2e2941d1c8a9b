// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int order_threads = 256;

/// Ids first..first+count-1 of the pairs, in one access; those past the end are -1, which is nobody's.
template <int count>
__device__ void load_ids(const OrderArgs& args, long long first, int (&ids)[count]) {
  if (count == 4 && first + count <= args.pairs) {
    const int4 word = *reinterpret_cast<const int4*>(args.expert_ids + first);
    memcpy(ids, &word, sizeof(ids));
  } else {
#pragma unroll
    for (int i = 0; i < count; ++i) ids[i] = first + i < args.pairs ? args.expert_ids[first + i] : -1;
  }
}

/// Block e counts the pairs of expert e. Every block reads all ids, which the GPU's cache serves; in exchange
/// there are no atomics and no scratch memory.
template <int ids_per_thread>
__global__ void __launch_bounds__(order_threads) count_kernel(OrderArgs args) {
  const int expert = static_cast<int>(blockIdx.x);
  int count = 0;
  constexpr int stride = order_threads * ids_per_thread;
  for (long long first = threadIdx.x * ids_per_thread; first < args.pairs; first += stride) {
    int ids[ids_per_thread];
    load_ids(args, first, ids);
#pragma unroll
    for (int i = 0; i < ids_per_thread; ++i) count += ids[i] == expert ? 1 : 0;
  }
  count = block_sum<order_threads>(count);
  if (threadIdx.x == 0) args.counts[expert] = count;
}

/// Block e gives the pairs of expert e their rows, in order: behind all lower experts' rows, and by block
/// scan behind the lower pairs'. Block 0 marks the dropped pairs as well.
template <int ids_per_thread>
__global__ void __launch_bounds__(order_threads) place_kernel(OrderArgs args) {
  const int expert = static_cast<int>(blockIdx.x);
  const int thread = static_cast<int>(threadIdx.x);
  int lower = 0;
  for (int other = thread; other < expert; other += order_threads) lower += args.counts[other];
  int next_row = block_sum<order_threads>(lower);
  if (thread == 0) {
    args.offsets[expert] = next_row;
    if (expert == args.experts - 1) args.offsets[args.experts] = next_row + args.counts[expert];
  }

  constexpr int stride = order_threads * ids_per_thread;
  for (long long start = 0; start < args.pairs; start += stride) {  // all threads make as many rounds
    const long long first = start + thread * ids_per_thread;
    int ids[ids_per_thread];
    load_ids(args, first, ids);
    int mine = 0;
#pragma unroll
    for (int i = 0; i < ids_per_thread; ++i) mine += ids[i] == expert ? 1 : 0;
    const ScanResult<int> scan = block_scan<order_threads>(mine);
    int row = next_row + scan.before;
#pragma unroll
    for (int i = 0; i < ids_per_thread; ++i) {
      const long long pair = first + i;
      if (ids[i] == expert) {
        args.positions[pair] = row;
        args.sources[row] = static_cast<std::int32_t>(pair);
        ++row;
      } else if (expert == 0 && pair < args.pairs && (ids[i] < 0 || ids[i] >= args.experts)) {
        args.positions[pair] = -1;
      }
    }
    next_row += scan.total;
  }
}

template <int ids_per_thread>
void launch_order(const OrderArgs& args, Stream stream) {
  const LaunchShape shape{dim3(static_cast<unsigned int>(args.experts)), order_threads, stream};
  launch("order (counts)", count_kernel<ids_per_thread>, shape, args);
  launch("order (rows)", place_kernel<ids_per_thread>, shape, args);
}

}  // namespace

void order(const OrderArgs& args, Stream stream) {
  check(args);
  if (are_aligned(args.expert_ids)) {
    launch_order<4>(args, stream);
  } else {
    launch_order<1>(args, stream);
  }
}

}  // namespace pregate::kernels::cuda
