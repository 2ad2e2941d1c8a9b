// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/safetensors.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "models/error.hpp"
#include "models/files/safetensors_header.hpp"

namespace pregate {

namespace {

constexpr std::int64_t length_bytes = 8;
/// The reference implementation's limit (MAX_HEADER_SIZE).
constexpr std::uint64_t longest_tensor_header = 100'000'000;

}  // namespace

SafetensorsFile::SafetensorsFile(std::string path) : file_(std::move(path), "name a .safetensors file") {
  read_header();
}

void SafetensorsFile::refuse(const std::string& problem) const {
  throw InputError(printable(path(), 200), problem,
                   "it is not a whole .safetensors file: write or download it again");
}

void SafetensorsFile::read_header() {
  const std::int64_t size = file_.size();
  if (size < length_bytes) refuse("has " + std::to_string(size) + " bytes, fewer than its header's length");

  std::array<std::byte, length_bytes> written{};
  file_.read_at(0, written);
  std::uint64_t length = 0;
  for (auto byte = written.rbegin(); byte != written.rend(); ++byte)
    length = length << 8U | std::to_integer<std::uint64_t>(*byte);
  if (length > longest_tensor_header)
    refuse("says that its header has " + std::to_string(length) + " bytes; 100 MB is the most");
  if (static_cast<std::int64_t>(length) > size - length_bytes)
    refuse("ends inside its header, which has " + std::to_string(length) + " bytes");
  data_begin_ = length_bytes + static_cast<std::int64_t>(length);

  std::string header(length, '\0');
  file_.read_at(length_bytes, std::as_writable_bytes(std::span(header)));
  // The JSON parser would take a NUL for the end.
  if (!header.starts_with('{') || header.find('\0') != std::string::npos) refuse("its header is not JSON");
  tensors_ = parse_safetensors_header(header, printable(path(), 200));
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
  file_.read_at(data_begin_ + tensor.begin + from, to);
}

}  // namespace pregate
