// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/byte_input.hpp"

#include <vector>

#include "models/error.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

std::string read_bytes(const std::string& path, std::uint64_t limit) {
  TextInput input(path);
  std::string bytes;
  std::vector<char> piece(1U << 18U);
  while (const std::size_t got = input.read(piece.data(), piece.size())) {
    if (bytes.size() + got > limit)
      throw InputError(path, "holds over " + std::to_string(limit >> 20U) + " MiB",
                       "import it in pieces: several files make one trace");
    bytes.append(piece.data(), got);
  }
  return bytes;
}

std::string_view ByteReader::take(std::uint64_t size) {
  if (size > left())
    fail("ends at byte " + std::to_string(bytes_.size()) + ", where " + std::to_string(size) +
             " bytes from byte " + std::to_string(at_) + " on are due",
         "is the file truncated?");
  const std::string_view taken = bytes_.substr(at_, size);
  at_ += taken.size();
  return taken;
}

std::uint64_t ByteReader::number(std::size_t size) { return little_endian(take(size)); }

void ByteReader::fail(const std::string& problem, const std::string& hint) const {
  throw InputError(where_, problem, hint);
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace pregate::trace
