// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <memory>

#include "sim/parts/part.hpp"
#include "sim/serve/batcher.hpp"

namespace pregate::sim {

/// A batcher as runs choose it (`serve.batcher`). What is not said of it is not assumed.
struct BatcherEntry : PartDescription {
  /// Over the requests of `source`, from its start, which outlives the batcher; passes take at most
  /// `prompt_chunk` tokens of prompts, 0: whole prompts.
  using Make = std::function<std::unique_ptr<Batcher>(const std::any& parameters, trace::StepSource& source,
                                                      int prompt_chunk)>;
  /// How many requests of such a trace may be in a pass.
  using MostRequests = std::function<int(const std::any& parameters)>;

  Make make;
  MostRequests most_requests;
  /// Whether which passes there are depends on when they end: then nobody knows them before the run.
  std::function<bool(const std::any& parameters, const trace::TraceInfo&)> depends_on_time =
      [](const std::any&, const trace::TraceInfo&) { return true; };
  /// Whether decode steps may hold prompts as well.
  std::function<bool(const std::any& parameters)> mixes_prompts = [](const std::any&) { return true; };
};

}  // namespace pregate::sim
