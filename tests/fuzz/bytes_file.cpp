// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/bytes_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace pregate::fuzz {

BytesFile::BytesFile(const std::uint8_t* bytes, std::size_t size) : file_(memfd_create("fuzz", 0)) {
  if (file_ < 0) std::abort();
  for (std::size_t written = 0; written < size;) {
    const ssize_t now = write(file_, bytes + written, size - written);
    if (now <= 0) std::abort();
    written += static_cast<std::size_t>(now);
  }
  path_ = "/proc/self/fd/" + std::to_string(file_);
}

BytesFile::~BytesFile() { close(file_); }

}  // namespace pregate::fuzz
