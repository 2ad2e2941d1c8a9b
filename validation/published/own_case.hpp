// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "models/document.hpp"

namespace pregate::validation {

/// The file of a case that is not the program's.
struct OwnCase {
  Node document;
  std::string where, name;
  std::filesystem::path folder;  ///< "." for a file of the current folder
};

/// Reads it, and puts its folder before every path of a description that it names (machine, model, policy,
/// profile, ...). InputError where it is no regular file, larger than 1 MiB, no TOML, or holds a text that is
/// more than a line.
OwnCase read_own_case(const std::string& path);

}  // namespace pregate::validation
