// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/record_start.hpp"

#include <algorithm>

namespace pregate::trace {

namespace {

constexpr std::size_t most_keys = 64;
constexpr std::string_view blank = " \t\r\n";

/// One past the text's closing quote; `at` is on its opening one. npos when it does not end.
std::size_t end_of_text(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

}  // namespace

RecordStart::RecordStart(std::string_view text) {
  std::size_t at = text.find_first_not_of(blank);
  if (at == std::string_view::npos || text[at] != '{') return;
  is_object_ = true;
  int depth = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth == 0) break;
    if (c != '"') continue;
    const std::size_t end = end_of_text(text, at);
    if (end == std::string_view::npos) return;
    const std::size_t colon = text.find_first_not_of(blank, end);
    if (depth == 1 && colon != std::string_view::npos && text[colon] == ':' && keys_.size() < most_keys) {
      keys_.push_back(text.substr(at + 1, end - at - 2));
      const std::size_t value = text.find_first_not_of(blank, colon + 1);
      values_.push_back(value == std::string_view::npos ? std::string_view() : text.substr(value));
    }
    at = end - 1;
  }
  if (at >= text.size()) return;
  const std::size_t next = text.find_first_not_of(blank, at + 1);
  is_lines_ = next != std::string_view::npos && text[next] == '{' &&
              text.substr(at, next - at).find('\n') != std::string_view::npos;
}

bool RecordStart::has(std::string_view key) const {
  return std::find(keys_.begin(), keys_.end(), key) != keys_.end();
}

bool RecordStart::has_all(std::initializer_list<std::string_view> keys) const {
  return std::all_of(keys.begin(), keys.end(), [this](std::string_view key) { return has(key); });
}

std::string_view RecordStart::text(std::string_view key) const {
  const auto found = std::find(keys_.begin(), keys_.end(), key);
  if (found == keys_.end()) return {};
  const std::string_view value = values_[static_cast<std::size_t>(found - keys_.begin())];
  if (value.empty() || value[0] != '"') return {};
  const std::size_t end = end_of_text(value, 0);
  return end == std::string_view::npos ? std::string_view() : value.substr(1, end - 2);
}

}  // namespace pregate::trace
