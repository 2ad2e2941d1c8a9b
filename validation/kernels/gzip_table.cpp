// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/kernels/gzip_table.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "models/error.hpp"

namespace pregate::validation {
namespace {

constexpr std::size_t longest_line = 1 << 16;

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t start = 0;;) {
    const std::size_t comma = line.find(',', start);
    cells.push_back(line.substr(start, comma == std::string_view::npos ? comma : comma - start));
    if (comma == std::string_view::npos) return cells;
    start = comma + 1;
  }
}

}  // namespace

GzipTable::GzipTable(const std::filesystem::path& path)
    : path_(printable(path.string(), 200)), file_(gzopen(path.c_str(), "rb")) {
  if (file_ == nullptr) throw InputError(path_, "cannot be opened");
  if (!read_line()) {
    gzclose(static_cast<gzFile>(file_));
    throw InputError(path_, "has no header");
  }
  for (const std::string_view cell : split(line_)) header_.emplace_back(cell);
}

GzipTable::~GzipTable() { gzclose(static_cast<gzFile>(file_)); }

bool GzipTable::read_line() {
  line_.clear();
  std::array<char, 4096> part{};
  while (gzgets(static_cast<gzFile>(file_), part.data(), static_cast<int>(part.size())) != nullptr) {
    line_ += part.data();
    if (line_.size() > longest_line) throw InputError(where(), "a line is too long");
    if (line_.ends_with('\n')) break;
  }
  int error = Z_OK;
  gzerror(static_cast<gzFile>(file_), &error);
  if (error != Z_OK && error != Z_STREAM_END) throw InputError(where(), "cannot be read: damaged or cut off");
  if (line_.empty()) return false;
  while (line_.ends_with('\n') || line_.ends_with('\r')) line_.pop_back();
  ++line_number_;
  return true;
}

bool GzipTable::next() {
  do {
    if (!read_line()) return false;
  } while (line_.empty());
  cells_ = split(line_);
  if (cells_.size() != header_.size())
    throw InputError(where(), "has another number of cells than the header");
  return true;
}

bool GzipTable::has(std::string_view column) const {
  return std::find(header_.begin(), header_.end(), column) != header_.end();
}

std::string_view GzipTable::text(std::string_view column) const {
  const auto found = std::find(header_.begin(), header_.end(), column);
  return found == header_.end() ? std::string_view()
                                : cells_[static_cast<std::size_t>(found - header_.begin())];
}

double GzipTable::number(std::string_view column) const {
  if (!has(column)) return 0;
  const std::string_view cell = text(column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !(value >= 0) || value > 1e15)
    throw InputError(where(), std::string(column) + ": '" + printable(cell) + "' is no number of this kind");
  return value;
}

std::string GzipTable::row_without(std::string_view column) const {
  std::string row;
  bool first = true;
  for (std::size_t i = 0; i < header_.size(); ++i) {
    if (header_[i] == column) continue;
    if (!first) row += ',';
    row += cells_[i];
    first = false;
  }
  return row;
}

std::string GzipTable::where() const { return path_ + ":" + std::to_string(line_number_); }

}  // namespace pregate::validation
