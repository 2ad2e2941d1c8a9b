// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "sim/parts/part.hpp"
#include "sim/serve/batcher.hpp"
#include "sim/serve/kv_blocks.hpp"
#include "sim/workload/trace_scan.hpp"

namespace pregate::sim {

/// What a batcher is told of the run.
struct BatcherSetting {
  int prompt_chunk = 0;  ///< most tokens of prompts a pass; 0: whole prompts
  /// What each GPU has for keys and values, where that may run out.
  std::span<const KvShare> kv = {};
  int batches = 1;  ///< passes under way at once, at most, each in other stages of a pipeline of GPUs
};

/// A batcher as runs choose it (`serve.batcher`). What is not said of it is not assumed.
struct BatcherEntry : PartDescription {
  /// Over the requests of `source`, from its start, which outlives the batcher.
  using Make = std::function<std::unique_ptr<Batcher>(const std::any& parameters, trace::StepSource& source,
                                                      const BatcherSetting& setting)>;
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
