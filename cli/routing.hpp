// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "cli/command.hpp"
#include "models/catalog.hpp"
#include "traces/trace.hpp"

namespace pregate::cli {

struct Run;

/// A trace as a run reads it: from a database or a generator, with drafts, batched and its
/// prompts cut on request.
struct OpenTrace {
  std::shared_ptr<trace::StepSource> reader;   ///< of the file or generator
  std::unique_ptr<trace::StepSource> drafted;  ///< over `reader`; null where drafts are as recorded
  std::unique_ptr<trace::StepSource> batched;  ///< over those; null for batch 1
  std::unique_ptr<trace::StepSource> chunked;  ///< over those; null for whole prompts
  [[nodiscard]] trace::StepSource& source() const {
    if (chunked) return *chunked;
    if (batched) return *batched;
    return drafted ? *drafted : *reader;
  }
};

/// A fresh reader, for each thread its own.
using Opener = std::function<OpenTrace()>;

po::options_description routing_options();

/// Decides which model runs on which routing: reads --trace, or generates from --profile, or generates
/// routing of the model's own shape. Sets the run's trace, model, `open`, `low` and `high`, and notes what
/// was decided.
void resolve_routing(const Parsed& parsed, const std::vector<Override>& set, Run& run);

}  // namespace pregate::cli
