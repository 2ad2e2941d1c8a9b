// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/standin/ptx/types.hpp"

namespace pregate::standin::ptx {

/// A shared or local address as a generic one, and back.
std::uint64_t generic_address(Space space, std::uint64_t address);
std::uint64_t space_address(Space space, std::uint64_t address);

}  // namespace pregate::standin::ptx
