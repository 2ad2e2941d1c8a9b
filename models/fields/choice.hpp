// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace pregate {

/// One value of an enumeration, named once: descriptions, results, lists, hints and labels take it from here.
template <typename Value>
struct Choice {
  Value value;
  std::string_view name;       ///< as files, options and results write it
  std::string_view help;       ///< a line
  std::string_view mechanism;  ///< what it adds to the mechanism of a policy, in words; empty: nothing
  std::string_view former;     ///< a name that it had; refused, with this one as the hint
};

/// All choices of an enumeration of PolicySpec, the default first.
template <typename Value>
std::span<const Choice<Value>> choices();

template <typename Value>
const Choice<Value>& choice_of(Value value) {
  for (const Choice<Value>& choice : choices<Value>()) {
    if (choice.value == value) return choice;
  }
  throw std::logic_error("a value that no table of choices has");
}

template <typename Value>
std::string name_of(Value value) {
  return std::string(choice_of(value).name);
}

}  // namespace pregate
