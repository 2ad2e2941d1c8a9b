// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/fit.hpp"

#include <algorithm>
// Its debug checks use std::allocator::construct, which C++20 has no longer.
#define BOOST_UBLAS_NDEBUG
#include <boost/numeric/ublas/lu.hpp>
#include <boost/numeric/ublas/matrix.hpp>
#include <cmath>
#include <numeric>

#include "models/error.hpp"

namespace pregate::validation {

namespace {

namespace ublas = boost::numeric::ublas;
// Bounded storage: the default one of uBLAS needs std::allocator::construct, which C++20 removed.
constexpr std::size_t most_unknowns = 16;
using Matrix = ublas::bounded_matrix<double, most_unknowns, most_unknowns>;
using Vector = ublas::bounded_vector<double, most_unknowns>;
using Permutation = ublas::permutation_matrix<std::size_t, ublas::bounded_array<std::size_t, most_unknowns>>;
using Values = std::vector<double>;

double squares(const Values& residuals) {
  double sum = 0;
  for (const double r : residuals) sum += r * r;
  return sum;
}

double scale_of(const Unknown& unknown) {
  return std::max(std::abs(unknown.start), 1e-3 * (unknown.most - unknown.least));
}

}  // namespace

Fit least_squares(const std::vector<Unknown>& unknowns,
                  const std::function<Values(const Values&)>& residuals) {
  const std::size_t n = unknowns.size();
  if (n == 0 || n > most_unknowns) {
    throw InputError("calibration", std::to_string(n) + " constants", "1 to 16 can be fitted at once");
  }
  Values x;
  for (const Unknown& unknown : unknowns) x.push_back(unknown.start);
  const auto evaluate = [&](const Values& at) {
    Values r = residuals(at);
    for (const double value : r) {
      if (!std::isfinite(value)) throw InputError("calibration", "a residual is not a finite number");
    }
    return r;
  };
  Values r = evaluate(x);
  if (r.size() < n) {
    throw InputError("calibration",
                     std::to_string(r.size()) + " rows cannot fix " + std::to_string(n) + " constants");
  }
  double damping = 1e-6;
  constexpr int most_iterations = 60;
  for (int iteration = 0; iteration < most_iterations && squares(r) > 1e-24; ++iteration) {
    // Columns in units of the unknown's scale, so that damping treats microseconds and shares alike.
    std::vector<Values> columns;
    for (std::size_t j = 0; j < n; ++j) {
      const double scale = scale_of(unknowns[j]);
      const double step = x[j] + 1e-4 * scale > unknowns[j].most ? -1e-4 * scale : 1e-4 * scale;
      Values moved = x;
      moved[j] += step;
      columns.push_back(evaluate(moved));
      for (std::size_t i = 0; i < r.size(); ++i) columns[j][i] = (columns[j][i] - r[i]) / step * scale;
    }
    Matrix normal(n, n);
    Vector gradient(n);
    double largest = 0;
    for (std::size_t j = 0; j < n; ++j) {
      gradient(j) = -std::inner_product(r.begin(), r.end(), columns[j].begin(), 0.0);
      for (std::size_t k = 0; k < n; ++k) {
        normal(j, k) = std::inner_product(columns[j].begin(), columns[j].end(), columns[k].begin(), 0.0);
      }
      largest = std::max(largest, normal(j, j));
    }
    bool improved = false;
    double moved_by = 0;
    while (!improved && damping < 1e9) {
      Matrix damped = normal;
      for (std::size_t j = 0; j < n; ++j) damped(j, j) += damping * std::max(normal(j, j), 1e-12 * largest);
      Vector step = gradient;
      Permutation rows(n);
      Values next = x;
      if (ublas::lu_factorize(damped, rows) == 0) {
        ublas::lu_substitute(damped, rows, step);
        for (std::size_t j = 0; j < n; ++j) {
          next[j] = std::clamp(x[j] + step(j) * scale_of(unknowns[j]), unknowns[j].least, unknowns[j].most);
        }
        Values after = evaluate(next);
        if (squares(after) < squares(r)) {
          for (std::size_t j = 0; j < n; ++j) {
            moved_by = std::max(moved_by, std::abs(next[j] - x[j]) / scale_of(unknowns[j]));
          }
          x = next;
          r = after;
          improved = true;
        }
      }
      damping = improved ? std::max(damping / 10, 1e-12) : damping * 10;
    }
    if (!improved || moved_by < 1e-10) break;
  }
  return {x, std::sqrt(squares(r) / static_cast<double>(r.size()))};
}

}  // namespace pregate::validation
