// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/text_output.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "models/error.hpp"

namespace pregate::trace {

// An export may be made again: the user names the file, and the rename replaces it whole.
TextOutput::TextOutput(const std::string& destination)
    : file_(destination, true), stream_(std::fopen(file_.temporary().c_str(), "wb"), &std::fclose) {
  if (!stream_) fail();
}

void TextOutput::fail() const {
  throw InputError(file_.destination(), std::string("cannot be written: ") + std::strerror(errno),
                   "is the disk full?");
}

void TextOutput::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stream_.get()) != text.size()) fail();
}

void TextOutput::publish() {
  if (std::fflush(stream_.get()) != 0) fail();
  if (std::fclose(stream_.release()) != 0) fail();
  file_.publish();
}

namespace {

template <typename T>
void append(std::string& text, T value) {
  std::array<char, 40> digits{};
  const auto [stop, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  static_cast<void>(error);  // 40 characters hold any number
  text.append(digits.data(), stop);
}

}  // namespace

void append_number(std::string& text, std::int64_t value) { append(text, value); }
void append_number(std::string& text, double value) { append(text, value); }

}  // namespace pregate::trace
