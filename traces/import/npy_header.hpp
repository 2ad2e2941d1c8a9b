// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::trace {

/// The dictionary at the head of a .npy file, as it is written.
struct NpyHeader {
  std::string type;  ///< "<i4", "|u1", ...
  bool is_fortran = false;
  std::vector<std::int64_t> shape;
};

/// Reads `{'descr': '<i4', 'fortran_order': False, 'shape': (6, 24, 4), }`: these three keys, each once, in
/// any order, and nothing else. InputError at `where`.
NpyHeader parse_npy_header(std::string_view text, const std::string& where);

}  // namespace pregate::trace
