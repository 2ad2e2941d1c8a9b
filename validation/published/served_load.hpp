// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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

/// Generated decode tokens of typical locality, which requests take their experts from: where all experts
/// are resident only how many of them a pass activates matters, and a pool costs nothing to draw from.
struct ServedPool {
  trace::TraceInfo shape;
  std::vector<std::uint16_t> experts;  ///< of all tokens, by layer
};

/// InputError for a model whose layers or tokens have unlike numbers of experts, or that has an encoder.
std::shared_ptr<const ServedPool> served_pool(const ModelSpec& model, std::uint64_t seed = 1);

/// Requests of whose tokens each takes its experts from the pool, each request from a place of its own.
std::unique_ptr<trace::StepSource> served_load(std::shared_ptr<const ServedPool> pool,
                                               const ServedLoad& load);

}  // namespace pregate::validation
