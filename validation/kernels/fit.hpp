// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "validation/kernels/measured_rows.hpp"

namespace pregate::validation {

/// The rows of one GPU.
struct GpuRows {
  const KernelPeaks* gpu;
  std::span<const MeasuredKernel> rows;
};

/// Constants, of the first GPU, that make the mean of |log(predicted / measured)| least, each GPU weighing
/// the same; the others' are carried over. Starts and bounds are those of constants_of(family); the result
/// depends on nothing but the rows.
KernelConstants fitted_constants(KernelFamily family, std::span<const GpuRows> gpus);

}  // namespace pregate::validation
