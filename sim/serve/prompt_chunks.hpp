// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "traces/trace.hpp"

namespace pregate::sim {

/// `source` with every prefill pass of more than `most_tokens` cut into passes of at most as many; all other
/// passes are the source's own. A cut pass takes consecutive tokens of each of its sequences that still has
/// some, all equally many, and fewer of one that ends. Its experts, weights and predictions are those of its
/// tokens, its position is where the sequences then are (their mean, rounded up).
///
/// What is cut must say whose its tokens are: Step::parts, or one sequence. next() throws an InputError for a
/// pass of several sequences that a recording has merged, and where there are more sequences than tokens in a
/// chunk. `source` must outlive the result; its info() is the source's, which counts whole passes.
/// `most_tokens` >= 1.
std::unique_ptr<trace::StepSource> cut_prompts(trace::StepSource& source, int most_tokens);

}  // namespace pregate::sim
