// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace pregate::trace {

/// Labels and names must be UTF-8, as JSON can hold nothing else.
bool is_utf8(const std::string& text);

/// The text, or where it is not UTF-8 the text with '?' for each byte beyond ASCII.
std::string as_utf8(std::string text);

/// The start of a text without the mark that Windows' programs put before UTF-8.
std::string_view without_byte_order_mark(std::string_view start);

}  // namespace pregate::trace
