// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arguments.hpp"
#include "kernels/element.hpp"

/// The check of arguments that every device runs first; std::invalid_argument names the kernel, the size or
/// pointer and its range. Instantiated for the three element types.
namespace pregate::kernels {

template <class Element>
void check(const RouterArgs<Element>& args);
void check(const OrderArgs& args);
template <class Element>
void check(const PermuteArgs<Element>& args);
template <class Element>
void check(const UnpermuteArgs<Element>& args);
template <class Element>
void check(const ActivationArgs<Element>& args);
template <class Element>
void check(const CombineArgs<Element>& args);
template <class Element>
void check(const RmsNormArgs<Element>& args);
template <class Element>
void check(const AttentionArgs<Element>& args);
template <class Element>
void check(const DequantizeArgs<Element>& args);

}  // namespace pregate::kernels
