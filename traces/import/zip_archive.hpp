// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace pregate::trace {

/// A zip archive in memory whose members are stored, not compressed, as torch.save writes them (zip64
/// included). Every offset and size is checked before it is used.
class ZipArchive {
 public:
  static constexpr std::string_view magic{"PK\x03\x04", 4};

  /// `bytes` is the whole file and must outlive this. InputError at `where`: no archive, truncated,
  /// compressed or encrypted members, a name twice.
  ZipArchive(std::string_view bytes, std::string where);

  /// Names in order.
  [[nodiscard]] const std::map<std::string_view, std::string_view>& directory() const { return directory_; }
  /// The bytes of a member, whose checksum is compared the first time; InputError when there is none of this
  /// name, it is damaged, or members share their bytes.
  [[nodiscard]] std::string_view member(const std::string& name) const;

 private:
  void read_directory(std::string_view records, std::uint64_t entries);

  std::string_view bytes_;
  std::string where_;
  std::map<std::string_view, std::string_view> directory_;  ///< name -> its record in the central directory
  mutable std::map<std::string_view, std::string_view> checked_;  ///< name -> bytes
  mutable std::uint64_t checked_bytes_ = 0;
};

}  // namespace pregate::trace
