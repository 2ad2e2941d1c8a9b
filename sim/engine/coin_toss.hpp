// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pregate::sim {

/// Of a condition that holds about as often as not, as which of two times is later: a select, not a branch.
inline bool coin_toss(bool condition) { return __builtin_expect_with_probability(condition, 1, 0.5) != 0; }

}  // namespace pregate::sim
