// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace pregate::cli {

/// Head and rows; a click on a head sorts, numbers as numbers; a field above keeps the rows with a text. The
/// first column is of words.
std::string sortable_table(const std::vector<std::string>& head,
                           const std::vector<std::vector<std::string>>& rows);

}  // namespace pregate::cli
