// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int combine_threads = 128;

/// blockIdx.x is the token; blockIdx.y shares out the row's packs. The width is a multiple of the pack.
template <class Element, int pack>
__global__ void __launch_bounds__(combine_threads) combine_kernel(CombineArgs<Element> args) {
  using Values = Pack<Element, pack>;
  const long long token = blockIdx.x;
  const std::int32_t* positions = args.positions + token * args.top_k;
  const float* weights = args.gate_weights + token * args.top_k;
  const float shared_weight = args.shared_weights != nullptr ? args.shared_weights[token] : 1.0F;

  const long long stride = static_cast<long long>(gridDim.y) * combine_threads * pack;
  const long long start = (static_cast<long long>(blockIdx.y) * combine_threads + threadIdx.x) * pack;
  for (long long column = start; column < args.width; column += stride) {
    const long long here = token * args.width + column;
    Values sum{};
    const auto add = [&sum](float weight, const Element* from) {
      const Values values = Values::load(from);
#pragma unroll
      for (int i = 0; i < pack; ++i) sum.values[i] = fmaf(weight, values.values[i], sum.values[i]);
    };
    for (int k = 0; k < args.top_k; ++k)
      if (positions[k] >= 0)
        add(weights[k], args.permuted + static_cast<long long>(positions[k]) * args.width + column);
    if (args.shared != nullptr) add(shared_weight, args.shared + here);
    if (args.residual != nullptr) add(1.0F, args.residual + here);
    sum.store(args.output + here);
  }
}

template <int pack, class Element>
void launch_combine(const CombineArgs<Element>& args, Stream stream) {
  const long long blocks = (args.width / pack + combine_threads - 1LL) / combine_threads;
  const dim3 grid(static_cast<unsigned int>(args.tokens),
                  static_cast<unsigned int>(std::min(blocks, 65535LL)));
  launch("combine", combine_kernel<Element, pack>, {grid, combine_threads, stream}, args);
}

}  // namespace

template <class Element>
void combine(const CombineArgs<Element>& args, Stream stream) {
  check(args);
  if (args.tokens == 0) return;
  if (args.width % full_pack<Element> == 0 &&
      are_aligned(args.permuted, args.shared, args.residual, args.output)) {
    launch_combine<full_pack<Element>>(args, stream);
  } else {
    launch_combine<1>(args, stream);
  }
}

template void combine(const CombineArgs<float>&, Stream);
template void combine(const CombineArgs<Float16>&, Stream);
template void combine(const CombineArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
