// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/embedded.hpp"

namespace pregate {

/// The published cases compiled into the program.
std::span<const EmbeddedFile> embedded_cases();

}  // namespace pregate
