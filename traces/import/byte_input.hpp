// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pregate::trace {

/// Longest binary recording, decompressed. What is read of it is held in memory.
inline constexpr std::uint64_t max_binary_recording = std::uint64_t{1} << 30U;

/// The whole of a file, decompressed. Memory grows with what is there, not with what a header promises; more
/// than `limit` bytes is an InputError.
std::string read_bytes(const std::string& path, std::uint64_t limit = max_binary_recording);

/// Reads little-endian numbers and runs of bytes from memory, in order. A read past the end is an InputError
/// at `where` that says the file is truncated.
class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  [[nodiscard]] const std::string& where() const { return where_; }
  std::string_view take(std::uint64_t size);
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  [[noreturn]] void fail(const std::string& problem, const std::string& hint = {}) const;

 private:
  std::uint64_t number(std::size_t size);

  std::string_view bytes_;
  std::string where_;
  std::size_t at_ = 0;
};

/// An unsigned number of 1 to 8 bytes, least significant byte first.
std::uint64_t little_endian(std::string_view bytes);

}  // namespace pregate::trace
