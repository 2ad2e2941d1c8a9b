// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/files/input_file.hpp"

namespace pregate {

/// A tensor as the header of its file describes it.
struct StoredTensor {
  std::string name;
  std::string dtype;                ///< "F32", "BF16", "I64", ...
  std::vector<std::int64_t> shape;  ///< row-major
  std::int64_t begin = 0, end = 0;  ///< bytes of the data, counted from the header's end
};

/// A .safetensors file (https://github.com/huggingface/safetensors#format): 8 bytes that say how long the
/// header is, the header as JSON, then the tensors' little-endian data without holes. Everything that the
/// header says is checked before it is used, and nothing of the data is read that is not asked for.
class SafetensorsFile {
 public:
  /// InputError naming the file, and the tensor where there is one, when anything in it breaks the format.
  explicit SafetensorsFile(std::string path);

  [[nodiscard]] const std::string& path() const { return file_.path(); }
  /// By their place in the file.
  [[nodiscard]] const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// The bytes of one of tensors() from byte `from` on; they must lie inside it (std::out_of_range).
  /// InputError when the file has shrunk or cannot be read.
  void read(const StoredTensor& tensor, std::int64_t from, std::span<std::byte> to) const;

 private:
  void read_header();
  void check_layout(std::int64_t data_size);
  [[noreturn]] void refuse(const std::string& problem) const;

  InputFile file_;
  std::int64_t data_begin_ = 0;  ///< of the file
  std::vector<StoredTensor> tensors_;
};

}  // namespace pregate
