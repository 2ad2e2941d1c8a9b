// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "validation/rates/fit_rates.hpp"
#include "validation/rates/rates_table.hpp"

namespace pregate::validation {

/// For people: what was fitted, what was not and why, every row before, after and left out, mean errors.
std::string rates_report(const RateFit& fit, const std::vector<MeasuredRate>& rows);

/// "6 rows, 1.2 % off on average, each left out in turn 3.4 %".
std::string fit_in_words(const RateFit& fit, const std::vector<MeasuredRate>& rows);

}  // namespace pregate::validation
