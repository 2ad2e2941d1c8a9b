// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/fat_binary.hpp"

#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace pregate::standin {
namespace {

// The layout is not documented by NVIDIA; these fields were found by looking at nvcc 13's output.
struct Wrapper {
  std::uint32_t magic;
  std::uint32_t version;
  const std::byte* data;
  const void* unused;
};

struct Header {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t header_size;
  std::uint64_t size;  ///< of the entries
};

struct Entry {
  std::uint16_t kind;
  std::uint16_t version;
  std::uint32_t header_size;
  std::uint64_t size;
  std::uint32_t compressed_size;
  std::uint32_t unknown;
  std::uint16_t minor;
  std::uint16_t major;
  std::uint32_t architecture;
  std::uint64_t name;
  std::uint64_t flags;
  std::uint64_t reserved;
  std::uint64_t uncompressed_size;
};

constexpr std::uint32_t wrapper_magic = 0x466243b1;
constexpr std::uint32_t header_magic = 0xba55ed50;
constexpr std::uint16_t ptx_kind = 1;
constexpr std::uint64_t zstd_flag = 0x8000;
constexpr std::uint64_t lz4_flag = 0x2000;
constexpr std::uint64_t largest_text = std::uint64_t{1} << 30;

std::string unpacked(const Entry& entry, const std::byte* payload) {
  std::string text;
  if ((entry.flags & zstd_flag) != 0) {
    if (entry.uncompressed_size > largest_text) throw std::runtime_error("PTX of an implausible size");
    text.resize(entry.uncompressed_size);
    const std::size_t result = ZSTD_decompress(text.data(), text.size(), payload, entry.compressed_size);
    if (ZSTD_isError(result) != 0) throw std::runtime_error(std::string("PTX: ") + ZSTD_getErrorName(result));
    text.resize(result);
  } else if ((entry.flags & lz4_flag) != 0) {
    throw std::runtime_error("PTX is compressed with LZ4; compile with nvcc --no-compress");
  } else {
    text.assign(reinterpret_cast<const char*>(payload), entry.size);
  }
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

}  // namespace

std::string ptx_of_fat_binary(const void* wrapper_address) {
  Wrapper wrapper;
  std::memcpy(&wrapper, wrapper_address, sizeof wrapper);
  if (wrapper.magic != wrapper_magic) throw std::runtime_error("not a fat binary");
  Header header;
  std::memcpy(&header, wrapper.data, sizeof header);
  if (header.magic != header_magic) throw std::runtime_error("unknown fat binary header");
  std::string best;
  std::uint32_t best_architecture = 0;
  for (std::uint64_t at = header.header_size; at + sizeof(Entry) <= header.header_size + header.size;) {
    Entry entry;
    std::memcpy(&entry, wrapper.data + at, sizeof entry);
    if (entry.header_size == 0) throw std::runtime_error("broken fat binary entry");
    if (entry.kind == ptx_kind && (best.empty() || entry.architecture > best_architecture)) {
      best = unpacked(entry, wrapper.data + at + entry.header_size);
      best_architecture = entry.architecture;
    }
    at += entry.header_size + entry.size;
  }
  if (best.empty())
    throw std::runtime_error("no PTX embedded; compile for at least one virtual architecture");
  return best;
}

}  // namespace pregate::standin
