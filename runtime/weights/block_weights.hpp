// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "kernels/arguments.hpp"

namespace pregate::runtime {

/// Stores values in blocks of the format and rounds to nearest: each with the smallest scale that holds its
/// largest magnitude, of q4_k each 32 values with the nearest range that the block can say. The values are
/// whole blocks and `to` has room for exactly those (std::invalid_argument).
void pack_blocks(std::span<const float> values, kernels::BlockFormat format, std::span<std::byte> to);

}  // namespace pregate::runtime
