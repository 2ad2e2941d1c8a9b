// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/standin/ptx/lexer.hpp"
#include "tests/standin/ptx/types.hpp"

namespace pregate::standin::ptx {

/// Reads tokens one after the other; the end token repeats.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  const Token& peek(std::size_t ahead = 0) const;
  const Token& next();
  bool take(std::string_view text);
  /// Throws SyntaxError, naming the line, when the next token is something else.
  void expect(std::string_view text);
  /// Skips to behind the bracket that closes the next token, which opens one.
  void skip_balanced();
  void skip_past(std::string_view text);
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

/// `.shared .align 4 .b8 name[128]` and its like, without what may follow.
struct Declaration {
  std::string name;
  std::vector<std::string> directives;  ///< those not understood here, with their dots
  Type type = Type::none;
  std::size_t alignment = 1;
  std::size_t elements = 1;
  bool is_unsized = false;  ///< `name[]`

  std::size_t size() const { return elements * size_of(type); }
  bool has(std::string_view directive) const;
};

Declaration read_declaration(TokenStream& tokens);

/// The value of a number as PTX writes it (decimal, 0x.., 0f.., 0d.., an optional sign and U); false if it is
/// none.
bool read_number(TokenStream& tokens, std::uint64_t& value);

/// Rounds `offset` up to a multiple of `alignment`.
std::size_t aligned(std::size_t offset, std::size_t alignment);

}  // namespace pregate::standin::ptx
