// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/kernels/errors.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pregate::validation {

ErrorSummary summary(std::vector<double> errors) {
  if (errors.empty()) return {};
  std::sort(errors.begin(), errors.end());
  const auto at = [&](double share) {  // linear between the two nearest
    const double place = share * static_cast<double>(errors.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, errors.size() - 1);
    return errors[below] + (place - static_cast<double>(below)) * (errors[above] - errors[below]);
  };
  return {errors.size(), at(0.5), at(0.9)};
}

ErrorSummary errors_of(std::span<const MeasuredKernel> rows, const KernelPeaks& gpu,
                       const KernelConstants& constants) {
  std::vector<double> errors;
  errors.reserve(rows.size());
  for (const MeasuredKernel& row : rows)
    errors.push_back(std::abs(predicted_seconds(row, gpu, constants) / row.seconds - 1));
  return summary(std::move(errors));
}

}  // namespace pregate::validation
