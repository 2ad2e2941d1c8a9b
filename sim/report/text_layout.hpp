// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace pregate::sim {

/// What a text for people is laid out for.
struct TextLayout {
  std::size_t columns = 100;  ///< a table that is wider leaves out columns
  bool folds = false;         ///< lines below a table are folded to `columns`
  bool all_columns = false;   ///< tables show all, however wide
  bool colour = false;        ///< marks only what is marked anyway
};

/// `text` with every line that is longer than the layout folded between words, what follows indented by four
/// more spaces than the line; words that are longer stay whole. As it is where the layout does not fold.
std::string folded(const std::string& text, const TextLayout& layout);

}  // namespace pregate::sim
