// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pregate::validation {

/// A table of comma-separated values in a gzip file, row by row.
class GzipTable {
 public:
  /// InputError when the file cannot be read or has no header.
  explicit GzipTable(const std::filesystem::path& path);
  ~GzipTable();
  GzipTable(const GzipTable&) = delete;
  GzipTable& operator=(const GzipTable&) = delete;

  /// False at the end. InputError, with the line, for a row with another number of cells than the header.
  bool next();

  [[nodiscard]] bool has(std::string_view column) const;
  /// Of the current row; empty where the file has no such column.
  [[nodiscard]] std::string_view text(std::string_view column) const;
  /// A number that is not negative; 0 where the file has no such column. InputError for anything else.
  [[nodiscard]] double number(std::string_view column) const;
  /// The whole row without this column.
  [[nodiscard]] std::string row_without(std::string_view column) const;

 private:
  bool read_line();
  [[nodiscard]] std::string where() const;

  std::string path_;
  void* file_ = nullptr;
  int line_number_ = 0;
  std::string line_;
  std::vector<std::string> header_;
  std::vector<std::string_view> cells_;
};

}  // namespace pregate::validation
