// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/declaration.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace pregate::standin::ptx {
namespace {

bool parse_digits(std::string_view digits, int base, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  return error == std::errc() && end == digits.data() + digits.size();
}

bool parse_number(std::string_view word, std::uint64_t& value) {
  if (word.empty() || std::isdigit(static_cast<unsigned char>(word[0])) == 0) return false;
  const char kind =
      word.size() > 1 ? static_cast<char>(std::tolower(static_cast<unsigned char>(word[1]))) : ' ';
  if (word[0] == '0' && kind == 'f' && word.size() == 10) return parse_digits(word.substr(2), 16, value);
  if (word[0] == '0' && kind == 'd' && word.size() == 18) return parse_digits(word.substr(2), 16, value);
  if (word.back() == 'U') word.remove_suffix(1);
  if (word[0] == '0' && kind == 'x') return parse_digits(word.substr(2), 16, value);
  if (word[0] == '0' && kind == 'b') return parse_digits(word.substr(2), 2, value);
  return parse_digits(word, word.size() > 1 && word[0] == '0' ? 8 : 10, value);
}

}  // namespace

const Token& TokenStream::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

const Token& TokenStream::next() {
  const Token& token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::take(std::string_view text) {
  if (!peek().is(text)) return false;
  next();
  return true;
}

void TokenStream::expect(std::string_view text) {
  if (!take(text)) fail("expected '" + std::string(text) + "'");
}

void TokenStream::skip_balanced() {
  std::size_t depth = 0;
  do {
    const Token& token = next();
    if (token.kind == Token::Kind::end) fail("brackets without end");
    if (token.is("{") || token.is("(") || token.is("[")) ++depth;
    if (token.is("}") || token.is(")") || token.is("]")) --depth;
  } while (depth > 0);
}

void TokenStream::skip_past(std::string_view text) {
  while (!take(text)) {
    if (next().kind == Token::Kind::end) fail("expected '" + std::string(text) + "'");
  }
}

void TokenStream::fail(const std::string& problem) const {
  const Token& token = peek();
  throw SyntaxError("PTX line " + std::to_string(token.line) + ": " + problem + " near '" + token.text + "'");
}

bool Declaration::has(std::string_view directive) const {
  return std::find(directives.begin(), directives.end(), directive) != directives.end();
}

Declaration read_declaration(TokenStream& tokens) {
  Declaration result;
  while (tokens.peek().kind == Token::Kind::word && tokens.peek().text.front() == '.') {
    const std::string word = tokens.next().text;
    const Type type = type_named(std::string_view(word).substr(1));
    if (type != Type::none) {
      result.type = type;
    } else if (word == ".align") {
      std::uint64_t alignment = 0;
      if (!read_number(tokens, alignment) || alignment == 0) tokens.fail("bad alignment");
      result.alignment = alignment;
    } else {
      result.directives.push_back(word);
    }
  }
  if (tokens.peek().kind != Token::Kind::word) tokens.fail("expected a name");
  result.name = tokens.next().text;
  while (tokens.take("[")) {
    std::uint64_t elements = 0;
    if (read_number(tokens, elements)) {
      result.elements *= elements;
    } else {
      result.is_unsized = true;
      result.elements = 0;
    }
    tokens.expect("]");
  }
  result.alignment = std::max(result.alignment, size_of(result.type));
  return result;
}

bool read_number(TokenStream& tokens, std::uint64_t& value) {
  const bool negative = tokens.peek().is("-");
  if (!parse_number(tokens.peek(negative ? 1 : 0).text, value)) return false;
  if (negative) {
    tokens.next();
    value = 0 - value;
  }
  tokens.next();
  return true;
}

std::size_t aligned(std::size_t offset, std::size_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace pregate::standin::ptx
