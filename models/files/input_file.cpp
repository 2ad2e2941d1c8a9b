// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "models/error.hpp"

namespace pregate {

InputFile::InputFile(std::string path, const std::string& hint) : path_(std::move(path)) {
  const std::string where = printable(path_, 200);
  // Not blocking: a pipe would wait for its writer before it can be refused.
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) throw InputError(where, std::string("cannot be opened: ") + std::strerror(errno));
  struct stat status = {};
  const bool known = ::fstat(file_, &status) == 0;
  const int fault = errno;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(file_);
    if (!known) throw InputError(where, std::string("cannot be read: ") + std::strerror(fault));
    throw InputError(where, "is not a file", hint);
  }
  size_ = status.st_size;
}

InputFile::~InputFile() { ::close(file_); }

void InputFile::read_at(std::int64_t offset, std::span<std::byte> to) const {
  const std::string where = printable(path_, 200);
  while (!to.empty()) {
    const ::ssize_t count = ::pread(file_, to.data(), to.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw InputError(where, std::string("cannot be read: ") + std::strerror(errno));
    if (count == 0) throw InputError(where, "became shorter while it was read", "write or download it again");
    to = to.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
}

}  // namespace pregate
