// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/lexer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace pregate::standin::ptx {
namespace {

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' || c == '.';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    while (skip_blanks()) read_token();
    tokens_.push_back({Token::Kind::end, "", line_, source_line_});
    return std::move(tokens_);
  }

 private:
  bool skip_blanks() {
    while (at_ < text_.size()) {
      if (text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (text_.substr(at_, 2) == "/*") {
        const std::size_t close = text_.find("*/", at_ + 2);
        if (close == std::string_view::npos) throw SyntaxError("PTX: comment without end");
        const std::string_view comment = text_.substr(at_, close - at_);
        line_ += static_cast<std::uint32_t>(std::count(comment.begin(), comment.end(), '\n'));
        at_ = close + 2;
      } else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        if (text_[at_] == '\n') ++line_;
        ++at_;
      } else {
        return true;
      }
    }
    return false;
  }

  void read_token() {
    const std::size_t start = at_;
    if (text_[at_] == '"') {
      const std::size_t close = text_.find('"', at_ + 1);
      if (close == std::string_view::npos) throw SyntaxError("PTX: string without end");
      at_ = close + 1;
      add(Token::Kind::text, text_.substr(start + 1, close - start - 1));
      return;
    }
    if (!is_word_character(text_[at_])) {
      ++at_;
      add(Token::Kind::punctuation, text_.substr(start, 1));
      return;
    }
    while (at_ < text_.size()) {
      if (is_word_character(text_[at_])) {
        ++at_;
      } else if (text_.substr(at_, 2) == "::") {
        at_ += 2;
      } else {
        break;
      }
    }
    const std::string_view word = text_.substr(start, at_ - start);
    if (!take_line_directive(word)) add(Token::Kind::word, word);
  }

  bool take_line_directive(std::string_view word) {
    static constexpr std::array<std::string_view, 5> names = {".version", ".target", ".address_size", ".file",
                                                              ".loc"};
    if (std::find(names.begin(), names.end(), word) == names.end()) return false;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    if (word == ".loc") read_source_line(text_.substr(at_, end - at_));
    at_ = end;
    return true;
  }

  void read_source_line(std::string_view rest) {  // " <file> <line> <column>..."
    for (int field = 0; field < 2; ++field) {
      const std::size_t begin = rest.find_first_of("0123456789");
      if (begin == std::string_view::npos) return;
      rest.remove_prefix(begin);
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), source_line_);
      if (error != std::errc()) return;
      rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    }
  }

  void add(Token::Kind kind, std::string_view text) {
    tokens_.push_back({kind, std::string(text), line_, source_line_});
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t source_line_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view ptx) { return Lexer(ptx).run(); }

}  // namespace pregate::standin::ptx
