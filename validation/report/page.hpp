// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

/// Pages that need nothing else. Text is escaped here unless a parameter is called markup.
namespace pregate::validation::html {

std::string escaped(std::string_view text);

/// The document around `body_markup`, with the style of all pages.
std::string page(std::string_view title, const std::string& body_markup);

/// The start of a table; rows follow, then table_end.
std::string table(std::initializer_list<const char*> head);
inline constexpr const char* table_end = "</table>\n";

enum class Align { left, number };
std::string cell(std::string_view text, Align align = Align::left);
/// A cell of a class that the style knows: "pass", "FAIL", "undecidable".
std::string cell_of_class(std::string_view name, std::string_view text);

/// Empty without lines.
std::string list(std::string_view title, const std::vector<std::string>& lines);

}  // namespace pregate::validation::html
