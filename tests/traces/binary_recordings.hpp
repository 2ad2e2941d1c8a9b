// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// Recordings in binary forms, written byte by byte as their formats say.
namespace pregate::test {

inline std::string little(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i)
    bytes.push_back(i < 8 ? static_cast<char>(value >> (8 * i) & 0xFFU) : '\0');
  return bytes;
}

/// Numbers of `size` bytes each.
inline std::string numbers(const std::vector<int>& values, std::size_t size) {
  std::string bytes;
  for (const int value : values) bytes += little(static_cast<std::uint64_t>(std::int64_t{value}), size);
  return bytes;
}

inline std::string npy(const std::string& header, const std::string& data, int version = 1) {
  return "\x93NUMPY" + little(static_cast<unsigned>(version), 1) + little(0, 1) +
         little(header.size(), version == 1 ? 2 : 4) + header + data;
}

inline std::string safetensors(const std::string& header, const std::string& data) {
  return little(header.size(), 8) + header + data;
}

inline std::string base64(const std::string& bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8U | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      text.push_back(at + i <= bytes.size() ? digits[group >> (18 - 6 * i) & 63U] : '=');
  }
  return text;
}

/// A zip archive of stored members.
inline std::string zip(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string archive, directory;
  for (const auto& [name, bytes] : members) {
    const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    const std::string common = little(20, 2) + little(0, 2) + little(0, 2) + little(0, 4) + little(crc, 4) +
                               little(bytes.size(), 4) + little(bytes.size(), 4) + little(name.size(), 2) +
                               little(0, 2);
    directory +=
        "PK\x01\x02" + little(20, 2) + common + little(0, 2 + 2 + 2 + 4) + little(archive.size(), 4) + name;
    archive += "PK\x03\x04" + common + name + bytes;
  }
  const std::string count = little(members.size(), 2);
  return archive + directory + "PK\x05\x06" + little(0, 4) + count + count + little(directory.size(), 4) +
         little(archive.size(), 4) + little(0, 2);
}

// Pickles, operation by operation.
inline std::string p_text(const std::string& text) { return "X" + little(text.size(), 4) + text; }
inline std::string p_int(int value) { return "J" + numbers({value}, 4); }
inline std::string p_all(const std::vector<std::string>& items) {
  std::string bytes = "(";
  for (const std::string& item : items) bytes += item;
  return bytes;
}
inline std::string p_list(const std::vector<std::string>& items) { return "]" + p_all(items) + "e"; }
inline std::string p_dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::vector<std::string> items;
  for (const auto& [key, value] : entries) items.push_back(p_text(key) + value);
  return "}" + p_all(items) + "u";
}
inline std::string p_ints(const std::vector<int>& values) {
  std::vector<std::string> items;
  for (const int value : values) items.push_back(p_int(value));
  return p_list(items);
}
/// A contiguous int32 tensor over the storage `key`.
inline std::string p_tensor(const std::string& key, const std::vector<int>& sizes) {
  std::vector<std::string> shape, strides(sizes.size());
  int stride = 1;
  for (std::size_t d = sizes.size(); d-- > 0; stride *= sizes[d]) strides[d] = p_int(stride);
  for (const int size : sizes) shape.push_back(p_int(size));
  const std::string storage =
      p_all({p_text("storage"), "ctorch\nIntStorage\n", p_text(key), p_text("cpu"), p_int(stride)}) + "tQ";
  return "ctorch._utils\n_rebuild_tensor_v2\n" +
         p_all({storage, p_int(0), p_all(shape) + "t", p_all(strides) + "t", "\x89",
                "ccollections\nOrderedDict\n)R"}) +
         "tR";
}
inline std::string torch_file(const std::string& pickle,
                              std::vector<std::pair<std::string, std::string>> storages = {}) {
  storages.insert(storages.begin(), {"archive/data.pkl", "\x80\x02" + pickle + "."});
  return zip(storages);
}

}  // namespace pregate::test
