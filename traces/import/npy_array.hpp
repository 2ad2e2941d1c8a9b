// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::trace {

/// An array of whole numbers in NumPy's .npy form (numpy.lib.format, versions 1 to 3), read from memory.
/// Nothing in it is ever executed: arrays of Python objects are refused, as are fractions, and a file that is
/// longer or shorter than its shape says.
class NpyArray {
 public:
  static constexpr std::string_view magic{"\x93NUMPY", 6};

  /// `bytes` is the whole file and must outlive this. InputError at `where`.
  NpyArray(std::string_view bytes, const std::string& where);

  [[nodiscard]] const std::vector<std::int64_t>& shape() const { return shape_; }
  /// The element with this number in row-major order, whatever order the file has. An unsigned 64-bit number
  /// beyond int64 reads as the largest int64.
  [[nodiscard]] std::int64_t at(std::int64_t index) const;
  [[nodiscard]] std::int64_t size() const { return size_; }

 private:
  std::string_view data_;
  std::vector<std::int64_t> shape_;
  std::int64_t size_ = 1;
  std::size_t item_size_ = 0;
  bool is_signed_ = false, is_big_endian_ = false, is_fortran_ = false;
};

}  // namespace pregate::trace
