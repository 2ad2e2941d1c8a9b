// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/kernel_format.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "models/kernel_constants.hpp"

namespace pregate::sim {

KernelFormat kernel_format(std::string_view dtype) {
  static constexpr std::array<std::pair<std::string_view, KernelFormat>, 8> formats{{
      {"bf16", {2, 2, "bf16"}},
      {"fp8", {1, 1, "fp8"}},
      // One fp32 scale to 128 x 128 weights and to 128 activations.
      {"fp8_block", {1 + 4.0 / (128 * 128), 1 + 4.0 / 128, "fp8"}},
      {"fp8_block_few", {1 + 4.0 / (128 * 128), 1 + 4.0 / 128, "fp8"}},
      {"int4", {0.5 + 2.0 / 128, 2, "bf16"}},  // a bf16 scale to 128 weights; widened to bf16
      {"mxfp4", {0.5 + 1.0 / 32, 2, "bf16"}},  // an 8-bit scale to 32 weights; widened to bf16
      {"mxfp4_marlin", {0.5 + 1.0 / 32, 2, "bf16"}},
      {"nvfp4", {0.5 + 1.0 / 16, 0.5 + 1.0 / 16, "fp4"}},
  }};
  for (const auto& [name, format] : formats) {
    if (name == dtype) return format;
  }
  std::vector<std::string> names;
  names.reserve(formats.size());
  for (const auto& [name, format] : formats) names.emplace_back(name);
  throw InputError("kernel data type", "no data type named '" + printable(dtype) + "'",
                   suggest(std::string(dtype), names));
}

}  // namespace pregate::sim
