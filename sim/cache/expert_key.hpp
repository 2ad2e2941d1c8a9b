// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

namespace pregate::cache {

/// Experts are dense small integers inside the simulation: all experts of the first MoE layer, then of the
/// second...
using ExpertKey = std::uint32_t;
inline constexpr ExpertKey no_key = std::numeric_limits<ExpertKey>::max();

}  // namespace pregate::cache
