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

}  // namespace pregate::trace
