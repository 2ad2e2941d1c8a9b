// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "models/formats/ggml_types.hpp"
#include "models/units.hpp"

namespace pregate {

/// Of a list that is too long to keep, or of text (a tokenizer's): how many elements it has.
struct SkippedList {
  std::uint64_t count = 0;
};

/// A value of the metadata. Truth values are integers 0 and 1; unsigned numbers above 2^63 are reals.
using GgufValue = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>,
                               std::vector<double>, SkippedList>;

struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<std::int64_t> dims;  ///< the innermost first, each at least 1
  Bytes bytes;
};

/// What a .gguf says before its weights (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): the
/// metadata and the table of tensors; of a file in parts, of all of them together.
struct GgufFile {
  std::string path;  ///< as named; in errors and results
  std::string architecture;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensor> tensors;
  Bytes bytes;  ///< of all parts on the disk
  int parts = 1;
};

/// Versions 2 and 3, little-endian. `path` may be any part of a file in parts (`name-00001-of-00003.gguf`);
/// the others are taken from beside it. Every number in the file is checked against the file's size before it
/// is used, and no weights are read. InputError naming the part and what is wrong with it.
GgufFile read_gguf(const std::string& path);

/// Whether the file begins as a .gguf does; false also when it cannot be read.
bool begins_as_gguf(const std::string& path);

}  // namespace pregate
