// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/utf8.hpp"

#include <nlohmann/json.hpp>

namespace pregate::trace {

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

std::string as_utf8(std::string text) {
  if (is_utf8(text)) return text;
  for (char& c : text)
    if (static_cast<unsigned char>(c) >= 0x80U) c = '?';
  return text;
}

std::string_view without_byte_order_mark(std::string_view start) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  if (start.starts_with(mark)) start.remove_prefix(mark.size());
  return start;
}

}  // namespace pregate::trace
