// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arguments.hpp"
#include "kernels/element.hpp"

struct CUstream_st;  // cudaStream_t is a pointer to it

/// The kernels on a GPU. Each call checks its arguments (std::invalid_argument), puts its work on `stream`
/// and returns; pointers are device memory that must live until the work is done. A launch that CUDA refuses
/// throws CudaError (cuda_error.hpp) with the kernel's name and shape. Contracts are in arguments.hpp; sums
/// are made in float, in an order that does not depend on timing, so results repeat bit by bit on the same
/// GPU.
///
/// Arrays that start at 16 bytes and whose rows are a multiple of 16 bytes are moved 16 bytes at a time;
/// others one element at a time, with the same results.
namespace pregate::kernels::cuda {

using Stream = CUstream_st*;

template <class Element>
void router(const RouterArgs<Element>& args, Stream stream);
void order(const OrderArgs& args, Stream stream);
template <class Element>
void permute(const PermuteArgs<Element>& args, Stream stream);
template <class Element>
void unpermute(const UnpermuteArgs<Element>& args, Stream stream);
template <class Element>
void activation(const ActivationArgs<Element>& args, Stream stream);
template <class Element>
void combine(const CombineArgs<Element>& args, Stream stream);
template <class Element>
void rms_norm(const RmsNormArgs<Element>& args, Stream stream);
template <class Element>
void attention(const AttentionArgs<Element>& args, Stream stream);
template <class Element>
void dequantize(const DequantizeArgs<Element>& args, Stream stream);

}  // namespace pregate::kernels::cuda
