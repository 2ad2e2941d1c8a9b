// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>

#include "sim/report/text_layout.hpp"

namespace pregate::cli {

/// Which of the two a text for people goes to.
enum class Channel { output, error };

/// How texts for people are laid out there: as wide as $COLUMNS says, else as the terminal is; lines are
/// folded to that. Without either (a pipe, a file) tables take up to 100 columns and nothing is folded.
sim::TextLayout text_layout(Channel channel, bool all_columns);

/// Writes a text for people. Nothing in it reaches a terminal as a control sequence but the marks of
/// TextLayout::colour. InputError when standard output cannot be written.
void show(Channel channel, const std::string& text);

/// While one lives, show() writes nothing to standard output: the commands of a host program.
class Silence {
 public:
  Silence() { ++living; }
  ~Silence() { --living; }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  static inline std::atomic<int> living = 0;
};

/// The same of this thread's commands, and what they say to standard output is kept.
class Overheard {
 public:
  Overheard() : before_(current) { current = this; }
  ~Overheard() { current = before_; }
  Overheard(const Overheard&) = delete;
  Overheard& operator=(const Overheard&) = delete;
  std::string text;
  static inline thread_local Overheard* current = nullptr;

 private:
  Overheard* before_;
};

/// One error, as show() does.
void show_error(const std::string& what);

}  // namespace pregate::cli
