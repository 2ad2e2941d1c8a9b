// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace pregate::trace {

/// Longest line of our JSONL, read or written: one step of 256 MiB of text.
inline constexpr std::size_t max_jsonl_line = std::size_t{256} << 20U;

}  // namespace pregate::trace
