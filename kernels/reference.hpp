// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arguments.hpp"
#include "kernels/element.hpp"

/// The kernels on host memory: what the host device runs, and what the CUDA kernels are held against. Sums
/// and functions are computed in double and rounded once on the way out. One thread, no allocation; contracts
/// in arguments.hpp. Each is instantiated for float, Float16 and BFloat16.
namespace pregate::kernels::reference {

template <class Element>
void router(const RouterArgs<Element>& args);
void order(const OrderArgs& args);
template <class Element>
void permute(const PermuteArgs<Element>& args);
template <class Element>
void unpermute(const UnpermuteArgs<Element>& args);
template <class Element>
void activation(const ActivationArgs<Element>& args);
template <class Element>
void combine(const CombineArgs<Element>& args);
template <class Element>
void rms_norm(const RmsNormArgs<Element>& args);
template <class Element>
void attention(const AttentionArgs<Element>& args);
template <class Element>
void dequantize(const DequantizeArgs<Element>& args);

}  // namespace pregate::kernels::reference
