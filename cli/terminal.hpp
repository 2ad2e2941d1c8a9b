// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

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

/// One error, as show() does.
void show_error(const std::string& what);

}  // namespace pregate::cli
