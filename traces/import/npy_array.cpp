// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/npy_array.hpp"

#include <algorithm>
#include <limits>

#include "models/error.hpp"
#include "traces/import/byte_input.hpp"
#include "traces/import/npy_header.hpp"

namespace pregate::trace {

namespace {

constexpr std::uint32_t longest_npy_header = 1U << 16U;

/// Bytes an element; 0 when it is no whole number.
std::size_t integer_size(const std::string& type) {
  if (type.size() != 3 || std::string_view("<>|=").find(type[0]) == std::string_view::npos) return 0;
  if (type[1] != 'i' && type[1] != 'u') return 0;
  const std::size_t size = static_cast<std::size_t>(type[2] - '0');
  return size == 1 || size == 2 || size == 4 || size == 8 ? size : 0;
}

}  // namespace

NpyArray::NpyArray(std::string_view bytes, const std::string& where) {
  ByteReader reader(bytes, where);
  if (bytes.substr(0, magic.size()) != magic)
    reader.fail("is no .npy file: it does not begin with \\x93NUMPY");
  reader.take(magic.size());
  const int major = reader.u8(), minor = reader.u8();
  if (major < 1 || major > 3 || minor != 0)
    reader.fail("has version " + std::to_string(major) + "." + std::to_string(minor) + " of .npy",
                "versions 1.0, 2.0 and 3.0 are read");
  const std::uint32_t length = major == 1 ? reader.u16() : reader.u32();
  if (length > longest_npy_header) reader.fail("has a header of " + std::to_string(length) + " bytes");
  const NpyHeader header = parse_npy_header(reader.take(length), where);

  item_size_ = integer_size(header.type);
  if (item_size_ == 0) {
    const bool is_object = header.type.find('O') != std::string::npos;
    reader.fail("holds elements of type '" + printable(header.type) + "', which are no expert ids",
                is_object ? "Python objects are not read: save the ids as int16 or int32"
                          : "ids are whole numbers: int16 or int32 (docs/recording.md)");
  }
  is_signed_ = header.type[1] == 'i';
  is_big_endian_ = header.type[0] == '>';
  is_fortran_ = header.is_fortran;
  shape_ = header.shape;
  bool overflows = false;
  for (const std::int64_t size : shape_) overflows = __builtin_mul_overflow(size_, size, &size_) || overflows;
  std::int64_t due = 0;
  overflows = __builtin_mul_overflow(size_, static_cast<std::int64_t>(item_size_), &due) || overflows;
  if (overflows) reader.fail("has a shape that is too large for any file");
  if (static_cast<std::uint64_t>(due) != reader.left())
    reader.fail("holds " + std::to_string(reader.left()) + " bytes of data, but its shape and type make " +
                    std::to_string(due),
                static_cast<std::uint64_t>(due) > reader.left() ? "is the file truncated?"
                                                                : "several arrays in one file are not read");
  data_ = reader.take(reader.left());
}

std::int64_t NpyArray::at(std::int64_t index) const {
  std::int64_t place = index;
  if (is_fortran_) {
    // The first dimension runs fastest: digits of the row-major number, last first, weigh the sizes before
    // theirs.
    place = 0;
    std::int64_t weight = size_;
    for (std::size_t d = shape_.size(); d-- > 0; index /= shape_[d]) {
      weight /= shape_[d];
      place += index % shape_[d] * weight;
    }
  }
  const std::string_view item = data_.substr(static_cast<std::size_t>(place) * item_size_, item_size_);
  std::uint64_t raw = 0;
  if (is_big_endian_) {
    for (const char byte : item) raw = raw << 8U | static_cast<unsigned char>(byte);
  } else {
    raw = little_endian(item);
  }
  if (!is_signed_)
    return static_cast<std::int64_t>(std::min<std::uint64_t>(raw, std::numeric_limits<std::int64_t>::max()));
  const std::uint64_t sign = std::uint64_t{1} << (8 * item_size_ - 1);
  return static_cast<std::int64_t>((raw ^ sign) - sign);
}

}  // namespace pregate::trace
