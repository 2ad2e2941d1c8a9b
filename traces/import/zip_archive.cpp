// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Records and fields: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central
// directory), 4.3.14 to 4.3.16 (ends) and 4.5.3 (zip64 sizes).
#include "traces/import/zip_archive.hpp"

#include <zlib.h>

#include "models/error.hpp"
#include "traces/import/byte_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::uint32_t local_signature = 0x04034B50, entry_signature = 0x02014B50,
                        end_signature = 0x06054B50;
constexpr std::uint32_t end64_signature = 0x06064B50, locator_signature = 0x07064B50;
constexpr std::size_t end_size = 22, locator_size = 20, longest_comment = 0xFFFF;
constexpr std::uint64_t most_entries = std::uint64_t{1} << 20U;

/// One record of the central directory.
struct Entry {
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0;
  std::uint64_t compressed = 0, size = 0, offset = 0;
  std::string_view name;
};

Entry read_entry(ByteReader& reader) {
  Entry entry;
  if (reader.u32() != entry_signature) reader.fail("has a damaged directory", "is it a file of torch.save?");
  reader.take(4);  // versions
  entry.flags = reader.u16();
  entry.method = reader.u16();
  reader.take(4);  // time
  entry.crc = reader.u32();
  entry.compressed = reader.u32();
  entry.size = reader.u32();
  const std::uint16_t name_size = reader.u16(), extra_size = reader.u16(), comment_size = reader.u16();
  reader.take(8);  // disk, attributes
  entry.offset = reader.u32();
  entry.name = reader.take(name_size);
  ByteReader extra(reader.take(extra_size), reader.where());
  reader.take(comment_size);
  while (extra.left() >= 4) {
    const std::uint16_t tag = extra.u16(), size = extra.u16();
    ByteReader field(extra.take(size), reader.where());
    if (tag != 1) continue;
    for (std::uint64_t* const value : {&entry.size, &entry.compressed, &entry.offset})
      if (*value == 0xFFFFFFFF) *value = field.u64();
  }
  return entry;
}

}  // namespace

ZipArchive::ZipArchive(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {
  const auto truncated = [&]() {
    throw InputError(where_, "is no whole zip archive: its directory is missing", "is the file truncated?");
  };
  // The end record is the last, before a comment of any text.
  if (bytes_.size() < end_size) truncated();
  std::size_t end = bytes_.size() - end_size;
  const std::size_t lowest = end > longest_comment ? end - longest_comment : 0;
  while (little_endian(bytes_.substr(end, 4)) != end_signature ||
         end + end_size + little_endian(bytes_.substr(end + 20, 2)) != bytes_.size()) {
    if (end == lowest) truncated();
    --end;
  }
  ByteReader reader(bytes_.substr(end), where_);
  reader.take(8);  // signature, disks
  reader.take(2);
  std::uint64_t entries = reader.u16(), size = reader.u32(), offset = reader.u32();
  if (entries == 0xFFFF || size == 0xFFFFFFFF || offset == 0xFFFFFFFF) {
    if (end < locator_size) truncated();
    ByteReader locator(bytes_.substr(end - locator_size, locator_size), where_);
    if (locator.u32() != locator_signature) truncated();
    locator.take(4);
    const std::uint64_t place = locator.u64();
    if (place > bytes_.size()) truncated();
    ByteReader end64(bytes_.substr(place), where_);
    if (end64.u32() != end64_signature) truncated();
    end64.take(28);  // size, versions, disks, entries of this disk
    entries = end64.u64();
    size = end64.u64();
    offset = end64.u64();
  }
  if (offset > end || size > end - offset || entries > most_entries) truncated();
  read_directory(bytes_.substr(offset, size), entries);
}

void ZipArchive::read_directory(std::string_view records, std::uint64_t entries) {
  ByteReader reader(records, where_);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::size_t begin = reader.at();
    const Entry entry = read_entry(reader);
    const std::string_view record = records.substr(begin, reader.at() - begin);
    if (!directory_.emplace(entry.name, record).second)
      throw InputError(where_, "has two members named '" + printable(entry.name) + "'");
  }
}

std::string_view ZipArchive::member(const std::string& name) const {
  const auto found = directory_.find(name);
  if (found == directory_.end()) throw InputError(where_, "has no member '" + printable(name) + "'");
  if (const auto known = checked_.find(name); known != checked_.end()) return known->second;
  const std::string where = where_ + ": " + printable(name);
  ByteReader record(found->second, where);
  const Entry entry = read_entry(record);
  if (entry.method != 0 || (entry.flags & 1U) != 0 || entry.compressed != entry.size)
    throw InputError(where, "is compressed or encrypted", "torch.save stores its members as they are");
  if (entry.offset > bytes_.size()) record.fail("lies beyond the end of the file", "is it truncated?");
  ByteReader local(bytes_.substr(entry.offset), where);
  if (local.u32() != local_signature)
    local.fail("has no header where the directory says", "is the file damaged?");
  local.take(22);
  const std::uint16_t name_size = local.u16(), extra_size = local.u16();
  if (local.take(name_size) != entry.name)
    local.fail("has another name in its header", "is the file damaged?");
  local.take(extra_size);
  const std::string_view bytes = local.take(entry.size);
  checked_bytes_ += bytes.size();
  if (checked_bytes_ > bytes_.size())
    local.fail("shares its bytes with other members", "is the file damaged?");
  uLong crc = crc32_z(0, nullptr, 0);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): zlib's byte is unsigned.
  crc = crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (crc != entry.crc) local.fail("does not have its checksum", "the file is damaged: copy it again");
  checked_.emplace(found->first, bytes);
  return bytes;
}

}  // namespace pregate::trace
