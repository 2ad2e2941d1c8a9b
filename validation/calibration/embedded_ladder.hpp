// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/embedded.hpp"

namespace pregate {

/// The gates of `pregate validate`, compiled into the program.
std::span<const EmbeddedFile> embedded_ladder();

}  // namespace pregate
