// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/machine.hpp"

namespace pregate::validation {

/// A constant of a machine and its software that measured rates may fix. It is fitted as a factor of what the
/// machine has.
struct RateConstant {
  std::string name, unit, meaning;
  std::vector<std::string>
      keys;  ///< of the machine file, all times the same factor; tables of the same go with them
  double (*value)(const MachineSpec&);  ///< in `unit`; 0: the machine has none, and nothing to be fitted
  void (*scale)(MachineSpec&, double factor);
  double least = 0.05, most = 20;                      ///< factors
  double (*most_value)(const MachineSpec&) = nullptr;  ///< 1 of shares; none: `most` alone bounds it
};

/// All there are; those earlier are preferred where rows cannot tell two apart.
const std::vector<RateConstant>& rate_constants();

/// The largest factor that the constant may take on this machine.
double most_factor(const RateConstant& constant, const MachineSpec& machine);

}  // namespace pregate::validation
