// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/npy_header.hpp"

#include <charconv>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t most_dimensions = 32;

/// The few forms of a Python literal that numpy writes there.
class Literal {
 public:
  Literal(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  [[noreturn]] void fail(const std::string& problem) const {
    throw InputError(where_, "its header " + problem, "was the file written by numpy.save?");
  }

  bool skip(char wanted) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void require(char wanted) {
    if (!skip(wanted)) fail(std::string("lacks a '") + wanted + "' at byte " + std::to_string(at_));
  }

  std::string_view text() {
    const bool single = skip('\'');
    if (!single && !skip('"')) fail("holds something other than a text at byte " + std::to_string(at_));
    const std::size_t stop = text_.find(single ? '\'' : '"', at_);
    if (stop == std::string_view::npos) fail("holds a text without an end");
    const std::string_view found = text_.substr(at_, stop - at_);
    if (found.find('\\') != std::string_view::npos) fail("holds an escape sequence");
    at_ = stop + 1;
    return found;
  }

  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {"False", false}})
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    fail("has neither True nor False at byte " + std::to_string(at_));
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> numbers;
    require('(');
    while (!skip(')')) {
      skip_space();
      std::int64_t number = -1;
      const auto [stop, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
      if (error != std::errc{} || number < 0) fail("has no size at byte " + std::to_string(at_));
      if (numbers.size() == most_dimensions) fail("has over 32 dimensions");
      at_ = static_cast<std::size_t>(stop - text_.data());
      numbers.push_back(number);
      if (skip(')')) {
        if (numbers.size() == 1) fail("has a shape that is no tuple");
        break;
      }
      require(',');
    }
    return numbers;
  }

  void finish() {
    skip_space();
    if (at_ != text_.size()) fail("goes on after its end");
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  std::string_view text_;
  const std::string& where_;
  std::size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const std::string& where) {
  Literal literal(text, where);
  NpyHeader header;
  bool has_type = false, has_order = false, has_shape = false;
  const auto once = [&](bool& seen, std::string_view key) {
    if (seen) literal.fail("has '" + std::string(key) + "' twice");
    seen = true;
  };
  literal.require('{');
  while (!literal.skip('}')) {
    const std::string_view key = literal.text();
    literal.require(':');
    if (key == "descr") {
      once(has_type, key);
      if (literal.skip('['))
        throw InputError(where, "is an array of records", "save the array of expert ids by itself");
      header.type = literal.text();
    } else if (key == "fortran_order") {
      once(has_order, key);
      header.is_fortran = literal.boolean();
    } else if (key == "shape") {
      once(has_shape, key);
      header.shape = literal.tuple();
    } else {
      literal.fail("has an unknown key '" + printable(key) + "'");
    }
    if (literal.skip('}')) break;
    literal.require(',');
  }
  literal.finish();
  if (!has_type || !has_order || !has_shape) literal.fail("lacks descr, fortran_order or shape");
  return header;
}

}  // namespace pregate::trace
