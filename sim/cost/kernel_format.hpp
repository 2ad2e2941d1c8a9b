// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace pregate::sim {

/// What a data type costs a kernel: bytes of one element, scales included, and the precision of its products.
struct KernelFormat {
  double weight_bytes, activation_bytes;
  std::string_view precision;  ///< as in GpuSpec::rates
};

/// InputError for a type that is none of kernel_dtypes().
KernelFormat kernel_format(std::string_view dtype);

}  // namespace pregate::sim
