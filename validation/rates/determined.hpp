// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace pregate::validation {

/// One column a constant: by how many per cent each row's figure moves for one per cent of the constant.
using Sensitivity = std::vector<std::vector<double>>;

/// Below this norm of a column, less what other constants do alike, rows that repeat within 3 % would fix the
/// constant no better than to within 30 %.
inline constexpr double least_effect = 0.1;

/// Which constants rows determine.
struct Determined {
  struct Left {
    std::size_t constant = 0;
    /// The chosen constant whose effect on the rows is most alike; none: no row moves with this one.
    std::optional<std::size_t> like;
    bool is_beyond_rows = false;  ///< it has an effect of its own, but the rows are too few for one more
  };
  std::vector<std::size_t> chosen;  ///< the one of the largest effect first
  std::vector<Left> left;           ///< in the order of the columns
};

/// Chooses one column after the other, each time the one of the largest effect that those chosen before do
/// not explain (QR with column pivoting), while that effect is at least `least_effect` and there are not more
/// than `most` of them. Of equals the first.
Determined determined_by(const Sensitivity& columns, std::size_t most);

}  // namespace pregate::validation
