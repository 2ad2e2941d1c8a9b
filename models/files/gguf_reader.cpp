// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/gguf_reader.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate {
namespace {

constexpr std::int64_t piece = 1 << 18;
/// The longest known headers, tokenizers of 260 000 words with their merges, have 20 MB.
constexpr std::int64_t longest_header = 128 << 20;

}  // namespace

GgufReader::GgufReader(const std::string& path) : file_(path, "name a .gguf file") {}

std::string GgufReader::where() const { return printable(file_.path(), 200); }

void GgufReader::refuse(const std::string& problem, const std::string& hint) const {
  throw InputError(where(), problem,
                   hint.empty() ? "it is not a whole .gguf file: write or download it again" : hint);
}

void GgufReader::expect(std::uint64_t count, std::uint64_t least, const std::string& what) const {
  const auto left = static_cast<std::uint64_t>(file_.size() - position_);
  if (least != 0 && count > left / least)
    refuse("says that it has " + std::to_string(count) + " " + what + ", which its " +
           std::to_string(file_.size()) + " bytes cannot hold");
}

void GgufReader::skip(std::uint64_t count, std::uint64_t size, const std::string& what) {
  expect(count, size, what);
  position_ += static_cast<std::int64_t>(count * size);
  if (position_ > longest_header) refuse("its header is longer than 128 MiB", "no known model's is");
}

std::string GgufReader::text(std::uint64_t longest, const std::string& what) {
  const auto length = number<std::uint64_t>();
  if (length > longest)
    refuse(what + " has " + std::to_string(length) + " bytes; " + std::to_string(longest) + " is the most");
  std::string text(length, '\0');
  take(std::as_writable_bytes(std::span(text)));
  return text;
}

void GgufReader::take(std::span<std::byte> to) {
  const auto wanted = static_cast<std::int64_t>(to.size());
  if (wanted > file_.size() - position_)
    refuse("ends inside its header, after " + std::to_string(file_.size()) + " bytes");
  if (position_ > longest_header) refuse("its header is longer than 128 MiB", "no known model's is");
  const auto held = static_cast<std::int64_t>(buffer_.size());
  if (position_ < buffer_begin_ || position_ + wanted > buffer_begin_ + held) {
    buffer_.resize(static_cast<std::size_t>(std::min(std::max(piece, wanted), file_.size() - position_)));
    buffer_begin_ = position_;
    file_.read_at(position_, buffer_);
  }
  std::memcpy(to.data(), buffer_.data() + (position_ - buffer_begin_), to.size());
  position_ += wanted;
}

}  // namespace pregate
