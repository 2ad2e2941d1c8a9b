// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int permute_threads = 128;

/// Rows are copied as bits, so their element does not matter, only how many words they are.
template <class MemoryWord>
struct CopyArgs {
  const MemoryWord* from;         // permute: [pairs / top_k][words]; unpermute: [pairs][words]
  const std::int32_t* positions;  // [pairs]
  MemoryWord* to;                 // [pairs][words]
  int top_k;
  long long words;
};

/// blockIdx.x is the pair; blockIdx.y shares out the row's words.
template <class MemoryWord>
__global__ void __launch_bounds__(permute_threads) permute_kernel(CopyArgs<MemoryWord> args) {
  const long long pair = blockIdx.x;
  const long long row = args.positions[pair];
  if (row < 0) return;
  const MemoryWord* from = args.from + pair / args.top_k * args.words;
  MemoryWord* to = args.to + row * args.words;
  const long long stride = static_cast<long long>(gridDim.y) * permute_threads;
  for (long long i = static_cast<long long>(blockIdx.y) * permute_threads + threadIdx.x; i < args.words;
       i += stride)
    to[i] = from[i];
}

template <class MemoryWord>
__global__ void __launch_bounds__(permute_threads) unpermute_kernel(CopyArgs<MemoryWord> args) {
  const long long pair = blockIdx.x;
  const long long row = args.positions[pair];
  MemoryWord* to = args.to + pair * args.words;
  const MemoryWord* from = row >= 0 ? args.from + row * args.words : nullptr;
  const long long stride = static_cast<long long>(gridDim.y) * permute_threads;
  for (long long i = static_cast<long long>(blockIdx.y) * permute_threads + threadIdx.x; i < args.words;
       i += stride)
    to[i] = from != nullptr ? from[i] : MemoryWord{};
}

enum class Direction { permute, unpermute };

struct Rows {
  const void* from;
  const std::int32_t* positions;
  void* to;
  std::int32_t pairs;
  std::int32_t top_k;
  long long row_bytes;
};

template <class MemoryWord>
void launch_copy(Direction direction, const Rows& rows, Stream stream) {
  const long long words = rows.row_bytes / static_cast<long long>(sizeof(MemoryWord));
  const long long blocks = std::min((words + permute_threads - 1) / permute_threads, 65535LL);
  const CopyArgs<MemoryWord> args{static_cast<const MemoryWord*>(rows.from), rows.positions,
                                  static_cast<MemoryWord*>(rows.to), rows.top_k, words};
  const LaunchShape shape{dim3(static_cast<unsigned int>(rows.pairs), static_cast<unsigned int>(blocks)),
                          permute_threads, stream};
  if (direction == Direction::permute) {
    launch("permute", permute_kernel<MemoryWord>, shape, args);
  } else {
    launch("unpermute", unpermute_kernel<MemoryWord>, shape, args);
  }
}

template <class Element>
void copy_rows(Direction direction, const Rows& rows, Stream stream) {
  if (rows.pairs == 0) return;
  if (rows.row_bytes % 16 == 0 &&
      are_aligned(static_cast<const char*>(rows.from), static_cast<char*>(rows.to))) {
    launch_copy<uint4>(direction, rows, stream);
  } else {
    launch_copy<typename Word<sizeof(Element)>::type>(direction, rows, stream);
  }
}

template <class Element>
long long row_bytes(std::int32_t width) {
  return static_cast<long long>(width) * static_cast<long long>(sizeof(Element));
}

}  // namespace

template <class Element>
void permute(const PermuteArgs<Element>& args, Stream stream) {
  check(args);
  copy_rows<Element>(Direction::permute,
                     {args.input, args.positions, args.permuted, args.tokens * args.top_k, args.top_k,
                      row_bytes<Element>(args.width)},
                     stream);
}

template <class Element>
void unpermute(const UnpermuteArgs<Element>& args, Stream stream) {
  check(args);
  copy_rows<Element>(
      Direction::unpermute,
      {args.permuted, args.positions, args.output, args.pairs, 1, row_bytes<Element>(args.width)}, stream);
}

template void permute(const PermuteArgs<float>&, Stream);
template void permute(const PermuteArgs<Float16>&, Stream);
template void permute(const PermuteArgs<BFloat16>&, Stream);
template void unpermute(const UnpermuteArgs<float>&, Stream);
template void unpermute(const UnpermuteArgs<Float16>&, Stream);
template void unpermute(const UnpermuteArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
