// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "models/error.hpp"
#include "models/terminal_text.hpp"

namespace pregate::cli {

namespace {

constexpr std::size_t narrowest = 20, widest = 10'000;

int descriptor(Channel channel) { return channel == Channel::output ? STDOUT_FILENO : STDERR_FILENO; }

/// Columns that the user or the terminal says; 0 = neither does.
std::size_t said_columns(Channel channel) {
  if (const char* set = std::getenv("COLUMNS")) {
    std::size_t columns = 0;
    const char* const end = set + std::strlen(set);
    const auto [rest, fault] = std::from_chars(set, end, columns);
    if (fault == std::errc{} && rest == end && columns > 0) return columns;
  }
  if (isatty(descriptor(channel)) == 0) return 0;
  winsize size = {};
  constexpr std::size_t usual = 80;  // a terminal that does not know
  if (ioctl(descriptor(channel), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return usual;
  return size.ws_col;
}

bool has_colour(Channel channel) {
  return isatty(descriptor(channel)) != 0 && std::getenv("NO_COLOR") == nullptr;
}

/// `text` with its marks, where they are meant, and no other control sequence.
std::string safe(std::string_view text, bool colour) {
  constexpr std::array<std::string_view, 2> marks = {"\033[1m", "\033[0m"};
  std::string result;
  while (!text.empty()) {
    std::size_t end = text.size();
    std::string_view mark;
    for (const std::string_view each : marks) {
      const std::size_t at = colour ? text.find(each) : std::string_view::npos;
      if (at < end) {
        end = at;
        mark = each;
      }
    }
    result += terminal_lines(text.substr(0, end));
    result += mark;
    text.remove_prefix(end + mark.size());
  }
  return result;
}

}  // namespace

sim::TextLayout text_layout(Channel channel, bool all_columns) {
  sim::TextLayout layout;
  layout.all_columns = all_columns;
  layout.colour = has_colour(channel);
  const std::size_t columns = said_columns(channel);
  layout.folds = columns > 0;
  if (layout.folds) layout.columns = std::clamp(columns, narrowest, widest);
  return layout;
}

void show(Channel channel, const std::string& text) {
  if (channel == Channel::output && Overheard::current != nullptr) {
    Overheard::current->text += text;
    return;
  }
  if (channel == Channel::output && Silence::living > 0) return;
  const std::string shown = safe(text, has_colour(channel));
  std::FILE* const stream = channel == Channel::output ? stdout : stderr;
  const bool written =
      std::fwrite(shown.data(), 1, shown.size(), stream) == shown.size() && std::fflush(stream) == 0;
  if (!written && channel == Channel::output)
    throw InputError("standard output", "cannot write", "is the disk full or the pipe closed?");
}

void show_error(const std::string& what) { show(Channel::error, "error: " + what + "\n"); }

}  // namespace pregate::cli
