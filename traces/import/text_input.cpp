// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/text_input.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "models/error.hpp"
#include "traces/import/zstd_stream.hpp"
#include "traces/layout.hpp"
#include "traces/utf8.hpp"

namespace pregate::trace {

TextInput::TextInput(std::string path) : path_(std::move(path)), file_(nullptr, &gzclose) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (!fs::exists(status)) throw InputError(path_, "no such file");
  if (!fs::is_regular_file(status))
    throw InputError(path_,
                     fs::is_directory(status) ? "is a folder, not a recording" : "is not a regular file");
  errno = 0;
  file_.reset(gzopen(path_.c_str(), "rb"));
  if (!file_) throw InputError(path_, std::string("cannot be opened: ") + std::strerror(errno));
  gzbuffer(file_.get(), 1U << 17U);
  char start[4];
  const std::size_t got = read_file(start, sizeof start);
  if (got == sizeof start && is_zstd(start)) zstd_ = std::make_unique<ZstdStream>();
  start_.assign(start, got);
}

TextInput::~TextInput() = default;

std::size_t TextInput::read(char* to, std::size_t size) {
  if (!zstd_) return read_file(to, size);
  return zstd_->read(
      to, size, [this](char* at, std::size_t room) { return read_file(at, room); }, path_);
}

std::size_t TextInput::read_file(char* to, std::size_t size) {
  if (!start_.empty()) {
    const std::size_t taken = std::min(size, start_.size());
    std::memcpy(to, start_.data(), taken);
    start_.erase(0, taken);
    return taken;
  }
  const int got = gzread(file_.get(), to, static_cast<unsigned>(size));
  int code = Z_OK;
  const char* const message = gzerror(file_.get(), &code);
  // A gzip stream that ends early reads as a short count and Z_BUF_ERROR.
  if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
    throw InputError(path_,
                     std::string("cannot be read: ") + (code == Z_ERRNO ? std::strerror(errno) : message),
                     code == Z_BUF_ERROR ? "the gzip file is truncated" : "");
  return static_cast<std::size_t>(got);
}

bool LineReader::next(std::string_view& line) {
  std::size_t scanned = begin_;
  for (;;) {
    if (const void* found = std::memchr(buffer_.data() + scanned, '\n', end_ - scanned)) {
      const auto stop = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
      line = {buffer_.data() + begin_, stop - begin_};
      begin_ = stop + 1;
      break;
    }
    if (at_end_) {
      if (begin_ == end_) return false;
      line = {buffer_.data() + begin_, end_ - begin_};
      begin_ = end_;
      break;
    }
    scanned = end_;
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      scanned -= begin_;
      end_ -= begin_;
      begin_ = 0;
    }
    if (end_ > limit_)
      throw InputError(path() + ":" + std::to_string(number_ + 1),
                       "a line of over " + std::to_string(limit_ >> 20U) + " MiB");
    if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
    const std::size_t got = input_.read(buffer_.data() + end_, buffer_.size() - end_);
    at_end_ = got == 0;
    end_ += got;
  }
  if (++number_ == 1) line = without_byte_order_mark(line);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.find('\0') != std::string_view::npos)
    throw InputError(where(), "holds a NUL byte", "is this a text file?");
  return true;
}

TextStreamBuffer::int_type TextStreamBuffer::underflow() {
  const std::size_t got = input_.read(buffer_.data(), buffer_.size());
  total_ += got;
  if (total_ > limit_)
    throw InputError(input_.path(), "holds over " + std::to_string(limit_ >> 20U) + " MiB of text");
  if (got == 0) return traits_type::eof();
  setg(buffer_.data(), buffer_.data(), buffer_.data() + got);
  return traits_type::to_int_type(buffer_[0]);
}

void split(std::string_view line, char separator, std::vector<std::string_view>& fields) {
  fields.clear();
  for (;;) {
    const std::size_t stop = line.find(separator);
    fields.push_back(line.substr(0, stop));
    if (stop == std::string_view::npos) return;
    line.remove_prefix(stop + 1);
  }
}

std::int64_t parse_integer(std::string_view text, std::int64_t low, std::int64_t high, const char* what,
                           const LineReader& where) {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || value < low || value > high)
    throw InputError(
        where.where(), std::string(what) + " is '" + printable(text, 40) + "'",
        "a whole number from " + std::to_string(low) + " to " + std::to_string(high) + " belongs there");
  return value;
}

float parse_weight(std::string_view text, const LineReader& where) {
  double value = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || !sane_weight(value))
    throw InputError(where.where(), "weight is '" + printable(text, 40) + "'", weight_hint);
  return static_cast<float>(value);
}

}  // namespace pregate::trace
