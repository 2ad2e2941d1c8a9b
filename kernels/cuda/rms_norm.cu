// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int norm_threads = 256;

/// One block a row, read twice (the second time from cache). The width is a multiple of the pack.
template <class Element, int pack>
__global__ void __launch_bounds__(norm_threads) rms_norm_kernel(RmsNormArgs<Element> args) {
  using Values = Pack<Element, pack>;
  const long long row = static_cast<long long>(blockIdx.x) * args.width;
  const int first = static_cast<int>(threadIdx.x) * pack;
  constexpr int stride = norm_threads * pack;

  float squares = 0;
  for (long long i = first; i < args.width; i += stride) {
    const Values values = Values::load(args.input + row + i);
#pragma unroll
    for (const float value : values.values) squares = fmaf(value, value, squares);
  }
  const float mean = block_sum<norm_threads>(squares) / static_cast<float>(args.width);
  const float scale = 1 / sqrtf(mean + args.epsilon);

  for (long long i = first; i < args.width; i += stride) {
    Values values = Values::load(args.input + row + i);
    const Values weights = Values::load(args.weight + i);
#pragma unroll
    for (int j = 0; j < pack; ++j) values.values[j] = values.values[j] * scale * weights.values[j];
    values.store(args.output + row + i);
  }
}

}  // namespace

template <class Element>
void rms_norm(const RmsNormArgs<Element>& args, Stream stream) {
  check(args);
  if (args.rows == 0) return;
  constexpr int pack = full_pack<Element>;
  const LaunchShape shape{dim3(static_cast<unsigned int>(args.rows)), norm_threads, stream};
  if (args.width % pack == 0 && are_aligned(args.input, args.weight, args.output)) {
    launch("rms_norm", rms_norm_kernel<Element, pack>, shape, args);
  } else {
    launch("rms_norm", rms_norm_kernel<Element, 1>, shape, args);
  }
}

template void rms_norm(const RmsNormArgs<float>&, Stream);
template void rms_norm(const RmsNormArgs<Float16>&, Stream);
template void rms_norm(const RmsNormArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
