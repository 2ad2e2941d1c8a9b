// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace pregate::validation {

/// A constant to be fitted.
struct Unknown {
  std::string name;
  double start = 0, least = 0, most = 0;
};

struct Fit {
  std::vector<double> values;  ///< of the unknowns, in their order
  double residual = 0;         ///< root mean square of the residuals
};

/// Values within their bounds that make the sum of squared residuals smallest, by Levenberg-Marquardt with
/// forward differences. As many residuals as unknowns: they are solved for. The rule has no choices of its
/// own, so the same rows give the same constants. InputError when there are fewer residuals than unknowns, or
/// a residual is not finite.
Fit least_squares(const std::vector<Unknown>& unknowns,
                  const std::function<std::vector<double>(const std::vector<double>&)>& residuals);

}  // namespace pregate::validation
