// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sim/report/metrics.hpp"

namespace pregate::sim {

/// A field of a row, quoted where RFC 4180 asks for it.
std::string csv_field(const std::string& text);
/// Shortest digits that read back the same, as in the JSON; empty where it is not finite.
std::string csv_number(double value);
/// Empty where a result has no value.
std::string csv_cell(const MetricValue& value);

}  // namespace pregate::sim
