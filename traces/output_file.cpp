// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/output_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

const char* const exists_hint = "choose another name, or give --overwrite";

/// Renames, or fails with EEXIST when the destination exists.
int rename_to_absent(const std::string& from, const std::string& to) {
#ifdef RENAME_NOREPLACE
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;  // else: this file system cannot; check, then rename
#endif
  if (::access(to.c_str(), F_OK) == 0) {
    errno = EEXIST;
    return -1;
  }
  return std::rename(from.c_str(), to.c_str());
}

void sync_to_disk(const std::string& path, int flags, const std::string& where) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) return;
  const int result = ::fsync(file);
  const int error = errno;
  ::close(file);
  if (result != 0 && (error == EIO || error == ENOSPC || error == EDQUOT))
    throw InputError(where, std::string("cannot be written: ") + std::strerror(error));
}

}  // namespace

OutputFile::OutputFile(std::string destination, bool overwrite)
    : destination_(std::move(destination)), overwrite_(overwrite) {
  namespace fs = std::filesystem;
  if (destination_.empty()) throw InputError("output", "the file name is empty");
  const fs::path path(destination_);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) throw InputError(destination_, "is a folder, not a file");
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw InputError(destination_, "is not a regular file", "name a file to write");
  if (fs::exists(status) && !overwrite_) throw InputError(destination_, "exists already", exists_hint);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error))
    throw InputError(destination_, "the folder '" + folder.string() + "' does not exist", "create it first");
  for (int attempt = 0; attempt < 1000; ++attempt) {
    temporary_ = (folder / ("." + path.filename().string() + "." + std::to_string(::getpid()) + "-" +
                            std::to_string(attempt) + ".partial"))
                     .string();
    const int file = ::open(temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    if (file >= 0) {
      ::close(file);
      return;
    }
    if (errno != EEXIST) break;
  }
  throw InputError(destination_, std::string("cannot be written: ") + std::strerror(errno));
}

OutputFile::~OutputFile() {
  if (!published_) ::unlink(temporary_.c_str());
}

void OutputFile::publish() {
  sync_to_disk(temporary_, O_RDWR, destination_);
  const int result = overwrite_ ? std::rename(temporary_.c_str(), destination_.c_str())
                                : rename_to_absent(temporary_, destination_);
  if (result != 0) {
    if (errno == EEXIST) throw InputError(destination_, "exists already", exists_hint);
    throw InputError(destination_, std::string("cannot be written: ") + std::strerror(errno));
  }
  published_ = true;
  const auto folder = std::filesystem::path(destination_).parent_path().string();
  sync_to_disk(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY, destination_);
}

}  // namespace pregate::trace
