// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// .gguf files as tests want them, broken ones too: no part of the reader is used to write them.
namespace pregate::test {

template <class Number>
std::string little_endian(Number value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

class GgufWriter {
 public:
  explicit GgufWriter(std::string_view architecture = "") {
    if (!architecture.empty()) text("general.architecture", architecture);
  }
  static std::string counted(std::string_view text) {
    return little_endian(std::uint64_t{text.size()}).append(text);
  }
  /// Any value, as bytes.
  GgufWriter& key(std::string_view name, std::uint32_t type, std::string_view value) {
    keys_ += counted(name) + little_endian(type) + std::string(value);
    ++key_count_;
    return *this;
  }
  GgufWriter& number(std::string_view name, std::uint32_t value) {
    return key(name, 4, little_endian(value));
  }
  GgufWriter& text(std::string_view name, std::string_view value) { return key(name, 8, counted(value)); }
  GgufWriter& numbers(std::string_view name, const std::vector<std::int32_t>& values) {
    std::string list = little_endian(std::uint32_t{5}) + little_endian(std::uint64_t{values.size()});
    for (const std::int32_t value : values) list += little_endian(value);
    return key(name, 9, list);
  }
  GgufWriter& texts(std::string_view name, const std::vector<std::string>& values) {
    std::string list = little_endian(std::uint32_t{8}) + little_endian(std::uint64_t{values.size()});
    for (const std::string& value : values) list += counted(value);
    return key(name, 9, list);
  }
  /// Placed behind the one before; `bytes` are those of its data.
  GgufWriter& tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                     std::uint64_t bytes) {
    return tensor_at(name, dims, type, std::exchange(data_, (data_ + bytes + 31) / 32 * 32), bytes);
  }
  GgufWriter& tensor_at(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                        std::uint64_t offset, std::uint64_t bytes) {
    tensors_ += counted(name) + little_endian(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t size : dims) tensors_ += little_endian(size);
    tensors_ += little_endian(type) + little_endian(offset);
    ++tensor_count_;
    data_end_ = offset + bytes;
    return *this;
  }
  [[nodiscard]] std::string header(std::uint32_t version = 3) const {
    return "GGUF" + little_endian(version) + little_endian(tensor_count_) + little_endian(key_count_) +
           keys_ + tensors_;
  }
  /// The file with its data, which nobody reads, as a hole.
  std::string write(const std::string& path) const {
    const std::string text = header();
    std::ofstream(path, std::ios::binary) << text;
    std::filesystem::resize_file(path,
                                 tensor_count_ == 0 ? text.size() : (text.size() + 31) / 32 * 32 + data_end_);
    return path;
  }

 private:
  std::string keys_, tensors_;
  std::uint64_t key_count_ = 0, tensor_count_ = 0, data_ = 0, data_end_ = 0;
};

}  // namespace pregate::test
