// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/arguments.hpp"

namespace pregate::runtime {

/// The numbers that whole blocks hold, in double: read from the formats' definitions by code that shares
/// nothing with the kernels, for the reference model.
std::vector<double> numbers_of_blocks(std::span<const std::byte> blocks, kernels::BlockFormat format);

}  // namespace pregate::runtime
