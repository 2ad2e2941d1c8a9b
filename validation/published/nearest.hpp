// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "sim/report/confidence.hpp"
#include "validation/published/residuals.hpp"

namespace pregate::validation {

/// With fewer, the next row of the same kind lies outside of all of them more than one time in three:
/// 2 / (rows + 1).
inline constexpr std::size_t fewest_rows = 5;

using Rows = std::vector<const Residual*>;

template <class Keep>
Rows select(std::span<const Residual> residuals, Keep&& keep) {
  Rows rows;
  for (const Residual& residual : residuals) {
    if (keep(residual)) rows.push_back(&residual);
  }
  return rows;
}

bool case_has_model(std::span<const Residual> residuals, const std::string& name, const std::string& model);

/// What is looked up among the residuals; an empty gpu, architecture or model is like no other.
struct Nearness {
  Basis basis = Basis::datasheet;
  std::string gpu, model, mechanism;
  std::string software{}, architecture{};  ///< as Residual has them
};

/// By how much ranges reach beyond the errors that they come from, either way, so that nine of ten rows lie
/// in the range that they would have been given; a logarithm of a factor.
struct Widening {
  double near = 0;  ///< of rows of the run's own GPU, software and mechanism
  double far = 0;   ///< of all others
};

/// The least widening that is enough for nine of ten more rows like those that need these: of n sorted ones
/// the one of rank 0.9 (n + 1), the largest where there are fewer than nine; 0 for none.
double widening_for(std::vector<double> needed);

/// Residuals, and what they say of the ranges that come from them.
class Evidence {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): residuals, seen as evidence
  Evidence(std::vector<Residual> residuals);
  [[nodiscard]] std::span<const Residual> residuals() const { return residuals_; }
  [[nodiscard]] const Widening& widening(Basis basis) const;

 private:
  std::vector<Residual> residuals_;
  std::array<Widening, basis_count> widenings_;  ///< by basis
};

/// Fills rows, errors, cases, nearest and factors by the residuals nearest to `wanted`, which are those
/// predicted with the same software, where they are at least five, and of them the first of
/// these groups that is enough: at least five rows, and of two cases unless they are of the run's own GPU
/// with its model or software.
/// 1. same GPU and mechanism, of a case that has the model, or of the software that was named  2. same
/// architecture and mechanism  3. same mechanism  4. same design, whatever is added to it  5. all, of however
/// many cases
/// `spread`: of a calibration, comes on top; 0 without one. InputError when there are fewer than two.
void hold_against_nearest(const Nearness& wanted, std::span<const Residual> residuals, double spread,
                          sim::Confidence& confidence, const Widening& widening = {});

/// How far published cases, which are of other hosts each, differ where the CPU computes experts: the root
/// mean square of their mean errors about the mean of these, as a factor less 1. By datasheet rows with the
/// software that the case names; 0 where there are fewer than two such cases.
double spread_of_hosts(std::span<const Residual> residuals);

/// Where a row stands in the range that others give for it.
struct Standing {
  std::string nearest;  ///< as sim::Confidence has it
  bool is_near = false;
  double middle = 0, half = 0;  ///< of the errors, as logarithms of factors
  double needed = 0;            ///< the widening with which the range just holds it; 0: it does without
};

/// Each row of the basis against all others (near: they hold the group of its own GPU), or where there are
/// too few such against the rows of all other cases.
std::vector<Standing> standings(std::span<const Residual> residuals, Basis basis);

/// Fills rows, errors, cases and factors by these rows, at least two (InputError). `widening` of their span
/// and the spread of a calibration come on top, and the simulated rate itself is always inside.
void hold(const Rows& rows, double spread, double widening, sim::Confidence& confidence);

}  // namespace pregate::validation
