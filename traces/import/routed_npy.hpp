// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "traces/import/npy_array.hpp"
#include "traces/import/sequence_writer.hpp"

namespace pregate::trace {

/// The ids of an array [tokens, layers, experts a token]. InputError at `where` for any other shape and for
/// ids that no expert can have.
RoutedTokens routed_of(const NpyArray& array, const std::string& where);

}  // namespace pregate::trace
