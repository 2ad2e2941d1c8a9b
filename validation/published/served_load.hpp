// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "models/model.hpp"
#include "traces/trace.hpp"

namespace pregate::validation {

/// What a benchmark's client sends: requests of a prompt and an output, each of `shortest` to 1 times so many
/// tokens, drawn evenly.
struct ServedLoad {
  int requests = 1, input = 1, output = 1;
  double shortest = 1;
  std::uint64_t seed = 1;
};

/// Requests whose tokens take their experts from a pool of generated decode tokens of typical locality, each
/// request from a place of its own: where all experts are resident only how many of them a pass activates
/// matters, and a pool costs nothing to draw from.
std::unique_ptr<trace::StepSource> served_load(const ModelSpec& model, const ServedLoad& load);

}  // namespace pregate::validation
