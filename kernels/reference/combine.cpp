// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {
namespace {

template <class Element>
double load(const Element* rows, std::int64_t index) {
  return static_cast<double>(to_float(rows[index]));
}

}  // namespace

template <class Element>
void combine(const CombineArgs<Element>& args) {
  check(args);
  for (std::int64_t token = 0; token < args.tokens; ++token) {
    const std::int32_t* positions = args.positions + token * args.top_k;
    const float* weights = args.gate_weights + token * args.top_k;
    const double shared_weight =
        args.shared_weights != nullptr ? static_cast<double>(args.shared_weights[token]) : 1.0;
    for (std::int64_t i = 0; i < args.width; ++i) {
      const std::int64_t here = token * args.width + i;
      double sum = 0;
      for (std::int32_t k = 0; k < args.top_k; ++k) {
        if (positions[k] < 0) continue;
        const std::int64_t there = std::int64_t{positions[k]} * args.width + i;
        sum += static_cast<double>(weights[k]) * load(args.permuted, there);
      }
      if (args.shared != nullptr) sum += shared_weight * load(args.shared, here);
      if (args.residual != nullptr) sum += load(args.residual, here);
      args.output[here] = from_float<Element>(static_cast<float>(sum));
    }
  }
}

template void combine(const CombineArgs<float>&);
template void combine(const CombineArgs<Float16>&);
template void combine(const CombineArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
