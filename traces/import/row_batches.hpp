// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "traces/import/pass_builder.hpp"

namespace pregate::trace {

/// What a pass looks like from outside.
struct PassRows {
  std::int64_t rows = 0;
  bool uniform = false;         ///< every row chose the same experts
  std::uint64_t first_row = 0;  ///< hash of what the first row chose
};

/// Recordings of an engine's batches, in which a pass is so many rows and nobody says which request a row is
/// of. All passes of a file are read as one request of several sequences:
///   - a pass larger than the one before it holds prompts: a prefill; so is the first, and one that follows a
///     prefill of the same size (a long prompt in chunks);
///   - any other is a decode step, one row a sequence;
///   - without a single decode step (training, scoring) every pass is a request of its own.
struct RowPlan {
  enum class Kind { dropped, prefill, decode };
  std::vector<Kind> passes;
  int sequences = 1;      ///< rows of the largest decode step
  bool separate = false;  ///< every pass is a request of its own
  std::int64_t dropped = 0;
  bool only_dummies = false;  ///< nothing but passes that look like dummies, which are kept then
};

/// Whether an engine's warm-up is looked for: passes at the start in which all rows choose the same experts
/// (the rows are the same token), and single rows that repeat them.
enum class Dummies { keep, drop };
RowPlan plan_rows(const std::vector<PassRows>& passes, Dummies dummies);

/// Reads a file twice: `scan` feeds its records and calls `end_of_pass` after each pass. The first time the
/// sizes are learned, the second time the passes are emitted. Adds notes to the facts.
void read_row_batches(
    const std::function<void(PassBuilder& builder, const std::function<void()>& end_of_pass)>& scan,
    PassBuilder& builder, RecordingFacts& facts, RecordingSink& sink, const std::string& label,
    Dummies dummies);

}  // namespace pregate::trace
