// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace pregate {

/// A tensor type of ggml: values are stored in blocks, each with its scales.
struct GgmlType {
  std::uint32_t id = 0;   ///< as a .gguf file names it (ggml.h, enum ggml_type)
  std::string_view name;  ///< in lower case: "q4_k"
  int values = 1;         ///< a block
  int bytes = 0;          ///< a block
  bool weights = true;    ///< false: integers, which no weights are stored as
  int scaled = 32;        ///< values that products apply one scale to (ggml's int8 dot products)
  bool fp4 = false;       ///< tensor cores of fp4 take its blocks, with their scales

  [[nodiscard]] double bits() const { return 8.0 * bytes / values; }
};

std::span<const GgmlType> ggml_types();
const GgmlType* ggml_type(std::uint32_t id);             ///< nullptr: not known
const GgmlType* ggml_type_named(std::string_view name);  ///< nullptr: not known

}  // namespace pregate
