// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {
namespace {

// !(x < 0) keeps NaN.
double relu(double x) { return x < 0 ? 0.0 : x; }
double silu(double x) { return x / (1 + std::exp(-x)); }
double gelu(double x) {
  // (1 + tanh(y)) / 2 = 1 / (1 + exp(-2 y)), where nothing cancels for negative y.
  const double twice_sqrt_2_over_pi = 1.5957691216057308;
  return x / (1 + std::exp(-twice_sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
}

template <class Element>
double load(const Element* at) {
  return static_cast<double>(to_float(*at));
}

template <class Element>
void store(Element* at, double value) {
  *at = from_float<Element>(static_cast<float>(value));
}

template <double function(double), class Element>
void apply(const ActivationArgs<Element>& args) {
  const std::int64_t size = std::int64_t{args.rows} * args.width;
  for (std::int64_t i = 0; i < size; ++i) store(args.output + i, function(load(args.input + i)));
}

template <double function(double), class Element>
void apply_gated(const ActivationArgs<Element>& args) {
  for (std::int64_t row = 0; row < args.rows; ++row) {
    const Element* gate = args.input + row * 2 * args.width;
    const Element* up = gate + args.width;
    Element* output = args.output + row * args.width;
    for (std::int64_t i = 0; i < args.width; ++i) store(output + i, function(load(gate + i)) * load(up + i));
  }
}

}  // namespace

template <class Element>
void activation(const ActivationArgs<Element>& args) {
  check(args);
  switch (args.kind) {
    case Activation::relu:
      return apply<relu>(args);
    case Activation::silu:
      return apply<silu>(args);
    case Activation::gelu:
      return apply<gelu>(args);
    case Activation::swiglu:
      return apply_gated<silu>(args);
    case Activation::geglu:
      return apply_gated<gelu>(args);
  }
}

template void activation(const ActivationArgs<float>&);
template void activation(const ActivationArgs<Float16>&);
template void activation(const ActivationArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
