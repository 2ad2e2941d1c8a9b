// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pregate {

/// A measured rate that constants of a machine were fitted on, and how well.
struct FittedRate {
  std::string row;  ///< where it stood, "rates.csv:3"
  std::string model, mechanism;
  std::string weights;  ///< format of the routed experts; empty: not said
  int batch = 1;
  double percent = 0;              ///< 100 (predicted / measured - 1), with the machine as it is
  std::optional<double> left_out;  ///< the same, predicted by a fit of all other rows; none: there was none
};

/// The rows behind a machine file that `pregate calibrate --from` wrote; empty for all others.
struct FittedRates {
  std::string file;
  std::vector<FittedRate> rows;
};

}  // namespace pregate
