// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pregate::fuzz {

/// An input of a harness as a file in memory, for readers that open a path. Aborts when there is none to be
/// had.
class BytesFile {
 public:
  BytesFile(const std::uint8_t* bytes, std::size_t size);
  ~BytesFile();
  BytesFile(const BytesFile&) = delete;
  BytesFile& operator=(const BytesFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  int file_ = -1;
  std::string path_;
};

}  // namespace pregate::fuzz
