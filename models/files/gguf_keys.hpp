// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "models/files/gguf.hpp"

namespace pregate {

/// The metadata of a model's architecture, `<architecture>.<key>`, checked: InputError naming the file and
/// the key for a value that is missing, no whole number, or out of range.
class GgufKeys {
 public:
  explicit GgufKeys(const GgufFile& file) : file_(&file) {}

  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] int number(std::string_view key, int least, int most) const;
  [[nodiscard]] int number_or(std::string_view key, int least, int most, int fallback) const;
  /// Of one layer: a list has one number a layer, a single number is of all.
  [[nodiscard]] int of_layer(std::string_view key, int layer, int least, int most) const;
  [[nodiscard]] int of_layer_or(std::string_view key, int layer, int least, int most, int fallback) const;
  [[nodiscard]] bool is_list(std::string_view key) const;

  [[noreturn]] void refuse(const std::string& problem, const std::string& hint = {}) const;

 private:
  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  [[nodiscard]] std::string name_of(std::string_view key) const;

  const GgufFile* file_;
};

}  // namespace pregate
