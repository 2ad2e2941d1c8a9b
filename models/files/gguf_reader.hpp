// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "models/files/input_file.hpp"

namespace pregate {

/// Reads a .gguf from its beginning in pieces, little-endian; what lies beyond the file's end, or beyond what
/// a header may reasonably be long, is refused before it is read.
class GgufReader {
 public:
  explicit GgufReader(const std::string& path);

  template <typename Number>
  Number number() {
    static_assert(std::endian::native == std::endian::little);
    std::array<std::byte, sizeof(Number)> bytes;
    take(bytes);
    Number value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  /// A length of 8 bytes, then so many bytes; longer than `longest` is refused as `what`.
  std::string text(std::uint64_t longest, const std::string& what);
  /// Passes over `count` elements of `size` bytes.
  void skip(std::uint64_t count, std::uint64_t size, const std::string& what);
  /// That many things of at least `least` bytes still fit into the file.
  void expect(std::uint64_t count, std::uint64_t least, const std::string& what) const;

  [[nodiscard]] std::int64_t position() const { return position_; }
  [[nodiscard]] std::int64_t size() const { return file_.size(); }
  [[nodiscard]] std::string where() const;
  [[noreturn]] void refuse(const std::string& problem, const std::string& hint = {}) const;

 private:
  void take(std::span<std::byte> to);

  InputFile file_;
  std::int64_t position_ = 0;
  std::vector<std::byte> buffer_;  ///< of the file, from buffer_begin_ on
  std::int64_t buffer_begin_ = 0;
};

}  // namespace pregate
