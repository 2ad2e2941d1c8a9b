// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/machine.hpp"
#include "validation/rates/constants.hpp"
#include "validation/rates/determined.hpp"

namespace pregate::validation {

/// The figure that the program computes for row `row` on this machine, above 0.
using PredictRate = std::function<double(std::size_t row, const MachineSpec& machine)>;

struct RateFitOptions {
  std::vector<std::string> constants;  ///< names of those to be fitted; empty: all that the rows determine
  /// Of each row the first one of its setting, where settings were measured more than once: they are left out
  /// together. Empty: every row is one of its own.
  std::vector<std::size_t> settings{};
  std::function<void(const std::string& stage)> progress = nullptr;
};

/// What measured rates say of a machine's constants.
struct RateFit {
  struct Constant {
    std::size_t index = 0;  ///< in rate_constants()
    double was = 0, value = 0;
    bool is_at_limit = false;  ///< the rows ask for more (or less) than it may be
  };
  struct Row {
    double before = 0, fitted = 0;  ///< predicted with the machine as it was, and as it is fitted
    /// Predicted by a fit of all rows of other settings. None where there is none.
    std::optional<double> left_out;
  };
  MachineSpec machine;  ///< with the fitted constants
  std::vector<Constant> constants;
  std::vector<Determined::Left> left;  ///< with indices in rate_constants(), as `like` has
  std::vector<Row> rows;
};

/// 100 (predicted / measured - 1).
double percent_off(double predicted, double measured);

/// Fits the constants that the rows determine, at most one fewer than there are rows (and one at least), by
/// least squares of the logarithms of predicted / measured; which they are is decided on the sensitivities at
/// the machine as it is given, and again at what was fitted. Then leaves out each setting in turn and does
/// all of that without it. InputError for a constant in `options` that the rows do not determine, that the
/// machine has not, or of more constants than rows.
RateFit fit_rates(const MachineSpec& machine, const std::vector<double>& measured, const PredictRate& predict,
                  const RateFitOptions& options = {});

}  // namespace pregate::validation
