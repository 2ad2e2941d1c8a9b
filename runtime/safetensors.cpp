// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/safetensors.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "models/error.hpp"
#include "runtime/safetensors_header.hpp"

namespace pregate::runtime {

namespace {

constexpr std::int64_t length_bytes = 8;
/// The reference implementation's limit (MAX_HEADER_SIZE).
constexpr std::uint64_t longest_header = 100'000'000;

}  // namespace

SafetensorsFile::SafetensorsFile(std::string path) : path_(std::move(path)) {
  // Not blocking: a pipe would wait for its writer before it can be refused.
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) throw InputError(path_, std::string("cannot be opened: ") + std::strerror(errno));
  try {
    read_header();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { ::close(file_); }

void SafetensorsFile::refuse(const std::string& problem) const {
  throw InputError(path_, problem, "it is not a whole .safetensors file: write or download it again");
}

void SafetensorsFile::read_header() {
  struct stat status = {};
  if (::fstat(file_, &status) != 0)
    throw InputError(path_, std::string("cannot be read: ") + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw InputError(path_, "is not a file", "name a .safetensors file");
  const std::int64_t size = status.st_size;
  if (size < length_bytes) refuse("has " + std::to_string(size) + " bytes, fewer than its header's length");

  std::array<std::byte, length_bytes> written{};
  read_at(0, written);
  std::uint64_t length = 0;
  for (auto byte = written.rbegin(); byte != written.rend(); ++byte)
    length = length << 8U | std::to_integer<std::uint64_t>(*byte);
  if (length > longest_header)
    refuse("says that its header has " + std::to_string(length) + " bytes; 100 MB is the most");
  if (static_cast<std::int64_t>(length) > size - length_bytes)
    refuse("ends inside its header, which has " + std::to_string(length) + " bytes");
  data_begin_ = length_bytes + static_cast<std::int64_t>(length);

  std::string header(length, '\0');
  read_at(length_bytes, std::as_writable_bytes(std::span(header)));
  // The JSON parser would take a NUL for the end.
  if (!header.starts_with('{') || header.find('\0') != std::string::npos) refuse("its header is not JSON");
  tensors_ = parse_safetensors_header(header, path_);
  check_layout(size - data_begin_);
}

/// "The byte buffer needs to be entirely indexed, and cannot contain holes": so no tensor lies on another
/// either, and none beyond the end.
void SafetensorsFile::check_layout(std::int64_t data_size) {
  std::sort(tensors_.begin(), tensors_.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::int64_t at = 0;
  for (const StoredTensor& tensor : tensors_) {
    const std::string name = "tensor '" + printable(tensor.name) + "'";
    if (tensor.begin < at) refuse(name + " lies on another one");
    if (tensor.begin > at) refuse("there is a hole before " + name);
    if (tensor.end > data_size)
      refuse("ends inside " + name + ": " + std::to_string(data_size) + " bytes of data, of which it has [" +
             std::to_string(tensor.begin) + ", " + std::to_string(tensor.end) + ")");
    at = tensor.end;
  }
  if (at != data_size) refuse(std::to_string(data_size - at) + " bytes at its end belong to no tensor");
}

void SafetensorsFile::read(const StoredTensor& tensor, std::int64_t from, std::span<std::byte> to) const {
  const auto length = static_cast<std::int64_t>(to.size());
  if (from < 0 || from > tensor.end - tensor.begin || length > tensor.end - tensor.begin - from)
    throw std::out_of_range("part of a stored tensor");
  read_at(data_begin_ + tensor.begin + from, to);
}

void SafetensorsFile::read_at(std::int64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ::ssize_t count = ::pread(file_, to.data(), to.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw InputError(path_, std::string("cannot be read: ") + std::strerror(errno));
    if (count == 0) refuse("became shorter while it was read");
    to = to.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
}

}  // namespace pregate::runtime
