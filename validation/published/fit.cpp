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
#include <optional>

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

/// The sum of squares near x: its columns are slopes of the residuals in units of each unknown's scale, so
/// that damping treats microseconds and shares alike.
struct Slopes {
  std::vector<Values> columns;
  Values gradient;  ///< of half the sum of squares, downhill
};

Slopes slopes_at(const std::vector<Unknown>& unknowns, const Values& x, const Values& r,
                 const std::function<Values(const Values&)>& evaluate) {
  Slopes slopes;
  for (std::size_t j = 0; j < unknowns.size(); ++j) {
    const double scale = scale_of(unknowns[j]);
    const double step = x[j] + 1e-4 * scale > unknowns[j].most ? -1e-4 * scale : 1e-4 * scale;
    Values moved = x;
    moved[j] += step;
    Values column = evaluate(moved);
    for (std::size_t i = 0; i < r.size(); ++i) column[i] = (column[i] - r[i]) / step * scale;
    slopes.gradient.push_back(-std::inner_product(r.begin(), r.end(), column.begin(), 0.0));
    slopes.columns.push_back(std::move(column));
  }
  return slopes;
}

/// Those that may move: an unknown at a bound that downhill lies beyond stays there, and the others are
/// solved for without it.
std::vector<std::size_t> free_of(const std::vector<Unknown>& unknowns, const Values& x,
                                 const Slopes& slopes) {
  std::vector<std::size_t> free;
  for (std::size_t j = 0; j < unknowns.size(); ++j) {
    const bool stays = (x[j] <= unknowns[j].least && slopes.gradient[j] <= 0) ||
                       (x[j] >= unknowns[j].most && slopes.gradient[j] >= 0);
    if (!stays) free.push_back(j);
  }
  return free;
}

/// x after the damped step of the free unknowns, within the bounds; none where it has no solution.
std::optional<Values> step_from(const Values& x, const std::vector<Unknown>& unknowns, const Slopes& slopes,
                                const std::vector<std::size_t>& free, double damping) {
  const std::size_t n = free.size();
  Matrix damped(n, n);
  Vector step(n);
  double largest = 0;
  for (std::size_t j = 0; j < n; ++j) {
    const Values& column = slopes.columns[free[j]];
    step(j) = slopes.gradient[free[j]];
    for (std::size_t k = 0; k < n; ++k) {
      const Values& other = slopes.columns[free[k]];
      damped(j, k) = std::inner_product(column.begin(), column.end(), other.begin(), 0.0);
    }
    largest = std::max(largest, damped(j, j));
  }
  for (std::size_t j = 0; j < n; ++j) damped(j, j) += damping * std::max(damped(j, j), 1e-12 * largest);
  Permutation rows(n);
  Values next = x;
  if (ublas::lu_factorize(damped, rows) != 0) return std::nullopt;
  ublas::lu_substitute(damped, rows, step);
  for (std::size_t j = 0; j < n; ++j) {
    const Unknown& unknown = unknowns[free[j]];
    next[free[j]] = std::clamp(x[free[j]] + step(j) * scale_of(unknown), unknown.least, unknown.most);
  }
  return next;
}

/// The longest way of an unknown, in its scale.
double way(const Values& from, const Values& to, const std::vector<Unknown>& unknowns) {
  double longest = 0;
  for (std::size_t j = 0; j < unknowns.size(); ++j)
    longest = std::max(longest, std::abs(to[j] - from[j]) / scale_of(unknowns[j]));
  return longest;
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
  constexpr double shortest_way = 1e-10;
  for (int iteration = 0; iteration < most_iterations && squares(r) > 1e-24; ++iteration) {
    const Slopes slopes = slopes_at(unknowns, x, r, evaluate);
    const std::vector<std::size_t> free = free_of(unknowns, x, slopes);
    if (free.empty()) break;
    bool improved = false;
    while (!improved && damping < 1e9) {
      const std::optional<Values> next = step_from(x, unknowns, slopes, free, damping);
      if (next) {
        if (way(x, *next, unknowns) < shortest_way) break;  // more damping makes it no longer
        Values after = evaluate(*next);
        improved = squares(after) < squares(r);
        if (improved) x = *next, r = std::move(after);
      }
      damping = improved ? std::max(damping / 10, 1e-12) : damping * 10;
    }
    if (!improved) break;
  }
  return {x, std::sqrt(squares(r) / static_cast<double>(r.size()))};
}

}  // namespace pregate::validation
