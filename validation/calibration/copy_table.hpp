// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "models/machine.hpp"

namespace pregate::validation {

/// Makes the copies of `table` take longer the larger they are: neighbours whose measured times fall with
/// size are given the mean of their times (isotonic regression, pool adjacent violators). The point of the
/// size `kept`, where it is there, stays as measured, and the others yield to it. How many points moved.
int make_times_grow(std::vector<CopyPoint>& table, std::optional<Bytes> kept = std::nullopt);

}  // namespace pregate::validation
