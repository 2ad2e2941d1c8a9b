// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::trace {

class ZstdStream;

/// Bytes of a file, decompressed when they are gzip or zstd. Every failure is an InputError at the file's
/// name: missing, a folder, unreadable, damaged or truncated.
class TextInput {
 public:
  explicit TextInput(std::string path);
  ~TextInput();
  TextInput(const TextInput&) = delete;
  TextInput& operator=(const TextInput&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Up to `size` bytes; 0 at the end.
  std::size_t read(char* to, std::size_t size);

 private:
  std::size_t read_file(char* to, std::size_t size);

  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
  std::unique_ptr<ZstdStream> zstd_;
  std::string start_;  ///< of the file, read to tell zstd and not yet handed on
};

/// Lines without their line ends, counted from 1; a line longer than the limit or with a NUL byte is an
/// InputError.
class LineReader {
 public:
  static constexpr std::size_t default_limit = std::size_t{64} << 20U;
  explicit LineReader(const std::string& path, std::size_t limit = default_limit)
      : input_(path), limit_(limit) {}

  /// False at the end. `line` is valid until the next call.
  bool next(std::string_view& line);
  [[nodiscard]] std::int64_t number() const { return number_; }
  /// "file:line" of the line last read.
  [[nodiscard]] std::string where() const { return input_.path() + ":" + std::to_string(number_); }
  [[nodiscard]] const std::string& path() const { return input_.path(); }

 private:
  TextInput input_;
  std::size_t limit_;
  std::vector<char> buffer_ = std::vector<char>(1U << 18U);
  std::size_t begin_ = 0, end_ = 0;
  bool at_end_ = false;
  std::int64_t number_ = 0;
};

/// A stream over a TextInput, for parsers that want one; more than `limit` bytes is an InputError.
class TextStreamBuffer : public std::streambuf {
 public:
  TextStreamBuffer(const std::string& path, std::uint64_t limit) : input_(path), limit_(limit) {}

 protected:
  int_type underflow() override;

 private:
  TextInput input_;
  std::uint64_t limit_, total_ = 0;
  std::vector<char> buffer_ = std::vector<char>(1U << 16U);
};

/// Splits at `separator`; fields keep their spaces. Reuses `fields`.
void split(std::string_view line, char separator, std::vector<std::string_view>& fields);

/// A whole decimal integer in [low, high], or InputError at `where` naming `what`.
std::int64_t parse_integer(std::string_view text, std::int64_t low, std::int64_t high, const char* what,
                           const LineReader& where);
/// A finite number, or InputError.
float parse_weight(std::string_view text, const LineReader& where);

}  // namespace pregate::trace
