// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "models/catalog.hpp"
#include "models/fields/fields.hpp"
#include "sim/serve/batcher_part.hpp"

namespace pregate::sim {

/// The batchers that there are, the default first. A new one is a file in impl/ and its line in serving.cpp.
const PartRegistry<BatcherEntry>& batchers();

/// Guesses of the next tokens that decode steps verify.
struct DraftSpec {
  int tokens = 0;         ///< a step, of a trace that recorded none; 0: as the trace has them
  double acceptance = 0;  ///< of the first draft of a step: the probability that it is accepted
  double decay = 1;       ///< of each later one, as a share of that of the one before it, which was accepted
  std::uint64_t seed = 1;
  Picoseconds time = {};  ///< that a draft takes on the GPU, one after the other, all sequences side by side
  bool operator==(const DraftSpec&) const = default;
};

/// What a request must be within to count; 0: no limit.
struct RequestLimits {
  Picoseconds ttft, tpot;
  [[nodiscard]] bool any() const { return ttft.count > 0 || tpot.count > 0; }
  bool operator==(const RequestLimits&) const = default;
};

/// How requests are served: a setting of the run, as their trace is, so that policies are compared under one
/// load, and one policy can be put under another.
struct ServingSpec {
  Chosen<BatcherEntry> batcher = batchers().standard();
  DraftSpec draft;
  RequestLimits limits = {};
  int prompt_chunk = 0;  ///< most tokens of prompts a pass, where the batcher cuts them; 0: whole prompts

  /// `kv`, `batches`: as BatcherSetting.
  [[nodiscard]] std::unique_ptr<Batcher> make(trace::StepSource& source, const std::vector<KvShare>& kv = {},
                                              int batches = 1) const {
    return batcher->make(batcher.parameters(), source, {prompt_chunk, kv, batches});
  }
  [[nodiscard]] std::optional<PagedKv> paged_kv() const { return batcher->paged_kv(batcher.parameters()); }
  [[nodiscard]] bool is_lock_step() const { return &*batcher == &batchers().standard(); }
  /// As it is where nothing is said.
  [[nodiscard]] bool is_standard() const { return is_lock_step() && draft == DraftSpec{} && !limits.any(); }
  [[nodiscard]] bool depends_on_time(const trace::TraceInfo& trace) const {
    return batcher->depends_on_time(batcher.parameters(), trace);
  }
};

/// What it is described by, field by field, parameters of the batchers included: keys `serve.…` of --set.
const Fields<ServingSpec>& serving_fields();

/// Of the overrides whose root is `serve`. InputError for what there is not, or cannot be that.
ServingSpec load_serving(std::span<const Override> overrides);

}  // namespace pregate::sim
