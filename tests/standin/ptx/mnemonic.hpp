// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/standin/ptx/types.hpp"

namespace pregate::standin::ptx {

/// An opcode with its modifiers, e.g. "setp.lt.and.ftz.f32". A decoder takes every modifier that it honours;
/// what is left over is not understood, and the instruction is refused rather than half obeyed.
class Mnemonic {
 public:
  explicit Mnemonic(std::string_view text);

  const std::string& text() const { return text_; }
  const std::string& opcode() const { return opcode_; }

  /// Removes the modifier and says whether it was there.
  bool take(std::string_view modifier);
  /// Removes the first modifier that is one of `choices`; its index, or -1.
  int take_one(std::span<const std::string_view> choices);
  int take_one(std::initializer_list<std::string_view> choices) {
    return take_one(std::span(choices.begin(), choices.size()));
  }
  /// Removes the first modifier that names a type.
  Type take_type();
  /// Modifiers not taken yet, in order.
  const std::vector<std::string>& left() const { return modifiers_; }

 private:
  std::string text_;
  std::string opcode_;
  std::vector<std::string> modifiers_;
};

}  // namespace pregate::standin::ptx
