// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::standin::ptx {

/// PTX text that cannot be read at all (as opposed to a kernel that uses something unknown).
class SyntaxError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Token {
  enum class Kind : std::uint8_t { word, punctuation, text, end };
  Kind kind = Kind::end;
  std::string text;  ///< words include their dots, percent signs and "::"
  std::uint32_t line = 0;
  std::uint32_t source_line = 0;  ///< of the last .loc before it

  bool is(std::string_view expected) const { return kind != Kind::text && text == expected; }
};

/// Splits PTX into tokens. Comments go; so do the directives that end with their line (.version, .target,
/// .address_size, .file), and .loc, whose line number stays with the tokens after it. Ends with a token
/// `end`.
std::vector<Token> tokenize(std::string_view ptx);

}  // namespace pregate::standin::ptx
