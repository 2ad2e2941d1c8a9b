// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/ptx/mnemonic.hpp"

#include <algorithm>

namespace pregate::standin::ptx {

Mnemonic::Mnemonic(std::string_view text) : text_(text) {
  std::size_t start = 0;
  for (bool first = true; start <= text.size(); first = false) {
    const std::size_t dot = std::min(text.find('.', start), text.size());
    const std::string_view part = text.substr(start, dot - start);
    if (first) {
      opcode_ = part;
    } else {
      modifiers_.emplace_back(part);
    }
    start = dot + 1;
  }
}

bool Mnemonic::take(std::string_view modifier) {
  const auto found = std::find(modifiers_.begin(), modifiers_.end(), modifier);
  if (found == modifiers_.end()) return false;
  modifiers_.erase(found);
  return true;
}

int Mnemonic::take_one(std::span<const std::string_view> choices) {
  for (auto modifier = modifiers_.begin(); modifier != modifiers_.end(); ++modifier) {
    const auto choice = std::find(choices.begin(), choices.end(), *modifier);
    if (choice == choices.end()) continue;
    modifiers_.erase(modifier);
    return static_cast<int>(choice - choices.begin());
  }
  return -1;
}

Type Mnemonic::take_type() {
  for (auto modifier = modifiers_.begin(); modifier != modifiers_.end(); ++modifier) {
    const Type type = type_named(*modifier);
    if (type == Type::none) continue;
    modifiers_.erase(modifier);
    return type;
  }
  return Type::none;
}

}  // namespace pregate::standin::ptx
