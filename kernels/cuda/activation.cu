// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/check.hpp"
#include "kernels/cuda.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/pack.cuh"

namespace pregate::kernels::cuda {
namespace {

constexpr int activation_threads = 256;

template <Activation kind>
__device__ float activated(float x) {
  if constexpr (kind == Activation::relu) {
    return x < 0 ? 0.0F : x;  // keeps NaN
  } else if constexpr (kind == Activation::silu || kind == Activation::swiglu) {
    return x / (1 + expf(-x));
  } else {
    // (1 + tanh(y)) / 2 = 1 / (1 + exp(-2 y)), where nothing cancels for negative y.
    constexpr float twice_sqrt_2_over_pi = 1.5957691216F;
    return x / (1 + expf(-twice_sqrt_2_over_pi * (x + 0.044715F * x * x * x)));
  }
}

/// Without gates all rows are one long one, so only its very end is not made of full packs.
template <class Element>
struct ElementwiseArgs {
  const Element* input;
  Element* output;
  long long size;
};

template <class Element, Activation kind, int pack>
__global__ void __launch_bounds__(activation_threads) elementwise_kernel(ElementwiseArgs<Element> args) {
  const long long thread = static_cast<long long>(blockIdx.x) * activation_threads + threadIdx.x;
  const long long threads = static_cast<long long>(gridDim.x) * activation_threads;
  const long long packs = args.size / pack;
  for (long long i = thread; i < packs; i += threads) {
    auto values = Pack<Element, pack>::load(args.input + i * pack);
#pragma unroll
    for (float& value : values.values) value = activated<kind>(value);
    values.store(args.output + i * pack);
  }
  const long long last = packs * pack + thread;  // fewer than `pack` are left
  if (last < args.size) narrow(activated<kind>(widen(args.input[last])), args.output[last]);
}

/// blockIdx.x shares out a row's packs, blockIdx.y the rows. The width is a multiple of the pack.
template <class Element, Activation kind, int pack>
__global__ void __launch_bounds__(activation_threads) gated_kernel(ActivationArgs<Element> args) {
  const int column =
      (static_cast<int>(blockIdx.x) * activation_threads + static_cast<int>(threadIdx.x)) * pack;
  if (column >= args.width) return;
  for (long long row = blockIdx.y; row < args.rows; row += gridDim.y) {
    const Element* gate = args.input + row * 2 * args.width + column;
    auto values = Pack<Element, pack>::load(gate);
    const auto up = Pack<Element, pack>::load(gate + args.width);
#pragma unroll
    for (int i = 0; i < pack; ++i) values.values[i] = activated<kind>(values.values[i]) * up.values[i];
    values.store(args.output + row * args.width + column);
  }
}

/// Blocks that give each of `items` a thread, at most `limit`.
unsigned int blocks_for(long long items, long long limit) {
  return static_cast<unsigned int>(
      std::clamp((items + activation_threads - 1) / activation_threads, 1LL, limit));
}

template <Activation kind, int pack, class Element>
void launch_activation(const ActivationArgs<Element>& args, Stream stream) {
  constexpr const char* name = "activation";
  if constexpr (is_gated(kind)) {
    const dim3 grid(blocks_for(args.width / pack, 0x7fffffff),
                    static_cast<unsigned int>(std::min(args.rows, 65535)));
    launch(name, gated_kernel<Element, kind, pack>, {grid, activation_threads, stream}, args);
  } else {
    const ElementwiseArgs<Element> flat{args.input, args.output,
                                        static_cast<long long>(args.rows) * args.width};
    launch(name, elementwise_kernel<Element, kind, pack>,
           {dim3(blocks_for(flat.size / pack, 0x7fffffff)), activation_threads, stream}, flat);
  }
}

template <Activation kind, class Element>
void choose_pack(const ActivationArgs<Element>& args, Stream stream) {
  constexpr int pack = full_pack<Element>;
  if (are_aligned(args.input, args.output) && (!is_gated(kind) || args.width % pack == 0)) {
    launch_activation<kind, pack>(args, stream);
  } else {
    launch_activation<kind, 1>(args, stream);
  }
}

}  // namespace

template <class Element>
void activation(const ActivationArgs<Element>& args, Stream stream) {
  check(args);
  if (args.rows == 0) return;
  switch (args.kind) {
    case Activation::relu:
      return choose_pack<Activation::relu>(args, stream);
    case Activation::silu:
      return choose_pack<Activation::silu>(args, stream);
    case Activation::gelu:
      return choose_pack<Activation::gelu>(args, stream);
    case Activation::swiglu:
      return choose_pack<Activation::swiglu>(args, stream);
    case Activation::geglu:
      return choose_pack<Activation::geglu>(args, stream);
  }
}

template void activation(const ActivationArgs<float>&, Stream);
template void activation(const ActivationArgs<Float16>&, Stream);
template void activation(const ActivationArgs<BFloat16>&, Stream);

}  // namespace pregate::kernels::cuda
