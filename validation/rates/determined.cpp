// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/rates/determined.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pregate::validation {

namespace {

using Column = std::vector<double>;

double product(const Column& a, const Column& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
double norm(const Column& column) { return std::sqrt(product(column, column)); }

/// Takes out of `column` what is along the unit column `direction`.
void project_out(Column& column, const Column& direction) {
  const double along = product(column, direction);
  for (std::size_t i = 0; i < column.size(); ++i) column[i] -= along * direction[i];
}

}  // namespace

Determined determined_by(const Sensitivity& columns, std::size_t most) {
  Determined result;
  Sensitivity rest = columns;
  std::vector<bool> is_chosen(columns.size());
  const auto largest = [&] {
    std::size_t best = columns.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!is_chosen[i] && (best == columns.size() || norm(rest[i]) > norm(rest[best]) * (1 + 1e-9)))
        best = i;
    }
    return best;
  };
  while (result.chosen.size() < most) {
    const std::size_t best = largest();
    if (best == columns.size() || norm(rest[best]) < least_effect) break;
    is_chosen[best] = true;
    result.chosen.push_back(best);
    Column direction = rest[best];
    const double length = norm(direction);
    for (double& part : direction) part /= length;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!is_chosen[i]) project_out(rest[i], direction);
    }
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (is_chosen[i]) continue;
    Determined::Left left;
    left.constant = i;
    left.is_beyond_rows = norm(rest[i]) >= least_effect;
    if (!left.is_beyond_rows && norm(columns[i]) >= least_effect) {
      const auto alike = [&](std::size_t a, std::size_t b) {
        return std::abs(product(columns[a], columns[i])) / norm(columns[a]) <
               std::abs(product(columns[b], columns[i])) / norm(columns[b]);
      };
      left.like = *std::max_element(result.chosen.begin(), result.chosen.end(), alike);
    }
    result.left.push_back(left);
  }
  return result;
}

}  // namespace pregate::validation
