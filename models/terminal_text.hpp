// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace pregate {

/// `text` as a terminal may show it: control characters (escape sequences begin with one), bytes that are not
/// UTF-8 and the marks that turn the direction of writing become '?', each; all else stays. Names and paths
/// come from users' files and their authors.
std::string one_line(std::string_view text);

/// As one_line, but ends of lines stay: for a whole output made of lines.
std::string terminal_lines(std::string_view text);

}  // namespace pregate
