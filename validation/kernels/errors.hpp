// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "validation/kernels/measured_rows.hpp"

namespace pregate::validation {

struct ErrorSummary {
  std::size_t rows = 0;
  double median = 0, percentile_90 = 0;  ///< of |predicted / measured - 1|
};

/// Of these errors, which are reordered.
ErrorSummary summary(std::vector<double> errors);

/// Of the rows, each with the GPU's peaks and constants.
ErrorSummary errors_of(std::span<const MeasuredKernel> rows, const KernelPeaks& gpu,
                       const KernelConstants& constants);

}  // namespace pregate::validation
