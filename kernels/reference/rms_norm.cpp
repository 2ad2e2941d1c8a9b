// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/check.hpp"
#include "kernels/reference.hpp"

namespace pregate::kernels::reference {

template <class Element>
void rms_norm(const RmsNormArgs<Element>& args) {
  check(args);
  for (std::int64_t row = 0; row < args.rows; ++row) {
    const Element* input = args.input + row * args.width;
    Element* output = args.output + row * args.width;
    double sum = 0;
    for (std::int32_t i = 0; i < args.width; ++i) {
      const auto value = static_cast<double>(to_float(input[i]));
      sum += value * value;
    }
    const double scale = 1 / std::sqrt(sum / args.width + static_cast<double>(args.epsilon));
    for (std::int32_t i = 0; i < args.width; ++i) {
      const double value =
          static_cast<double>(to_float(input[i])) * scale * static_cast<double>(to_float(args.weight[i]));
      output[i] = from_float<Element>(static_cast<float>(value));
    }
  }
}

template void rms_norm(const RmsNormArgs<float>&);
template void rms_norm(const RmsNormArgs<Float16>&);
template void rms_norm(const RmsNormArgs<BFloat16>&);

}  // namespace pregate::kernels::reference
