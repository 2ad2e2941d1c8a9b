// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace pregate {

/// A file that is read here and there, never as a whole: a regular one, its size known.
class InputFile {
 public:
  /// InputError when it cannot be opened or is no regular file; `hint` says what is wanted instead.
  InputFile(std::string path, const std::string& hint);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::int64_t size() const { return size_; }  ///< when it was opened
  /// Fills `to` with the bytes from `offset` on. InputError when the file has shrunk or cannot be read.
  void read_at(std::int64_t offset, std::span<std::byte> to) const;

 private:
  std::string path_;
  int file_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace pregate
