// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/parts/part.hpp"
#include "sim/serve/batcher.hpp"
#include "sim/serve/kv_blocks.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::sim {

/// A batcher as runs choose it (`serve.batcher`). What is not said of it is not assumed.
struct BatcherEntry : PartDescription {
  /// Over the requests of `source`, from its start, which outlives the batcher; passes take at most
  /// `prompt_chunk` tokens of prompts, 0: whole prompts.
  /// `kv`: what each GPU has for keys and values, where that may run out.
  using Make = std::function<std::unique_ptr<Batcher>(const std::any& parameters, trace::StepSource& source,
                                                      int prompt_chunk, const std::vector<KvShare>& kv)>;
  /// How many requests of such a trace may be in a pass.
  using MostRequests = std::function<int(const std::any& parameters)>;

  Make make;
  MostRequests most_requests;
  /// Whether which passes there are depends on when they end: then nobody knows them before the run.
  std::function<bool(const std::any& parameters, const trace::TraceInfo&)> depends_on_time =
      [](const std::any&, const trace::TraceInfo&) { return true; };
  /// Whether decode steps may hold prompts as well.
  std::function<bool(const std::any& parameters)> mixes_prompts = [](const std::any&) { return true; };
  /// KV memory that may run out; without a value it is there for all that may be in a pass. InputError for
  /// parameters that contradict each other.
  std::function<std::optional<PagedKv>(const std::any& parameters)> paged_kv =
      [](const std::any&) -> std::optional<PagedKv> { return std::nullopt; };
};

}  // namespace pregate::sim
