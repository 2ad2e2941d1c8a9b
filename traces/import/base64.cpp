// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/base64.hpp"

#include <cstdint>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

std::string decode_base64(std::string_view text, const std::string& where) {
  if (text.size() % 4 != 0)
    throw InputError(where, "base64 text of " + std::to_string(text.size()) + " characters, no multiple of 4",
                     "is it truncated?");
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const bool is_last = at + 4 == text.size();
    const int padding = is_last && text[at + 3] == '=' ? (text[at + 2] == '=' ? 2 : 1) : 0;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const int value = i >= static_cast<std::size_t>(4 - padding) ? 0 : digit(text[at + i]);
      if (value < 0)
        throw InputError(where, "the character '" + printable(text.substr(at + i, 1)) + "' in base64 text");
      group = group << 6U | static_cast<std::uint32_t>(value);
    }
    const std::uint32_t unused = padding == 0 ? 0 : padding == 1 ? group & 0xFFU : group & 0xFFFFU;
    if (unused != 0) throw InputError(where, "base64 text with bits after its last byte", "is it damaged?");
    for (int i = 0; i < 3 - padding; ++i) bytes.push_back(static_cast<char>(group >> (16 - 8 * i) & 0xFFU));
  }
  return bytes;
}

}  // namespace pregate::trace
