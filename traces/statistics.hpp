// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::trace {

/// Statistics of one MoE layer; encoder/prefill and decode steps apart where it matters.
struct LayerStatistics {
  TraceLayer layer;
  std::int64_t tokens = 0;        ///< tokens routed in this layer, all phases
  int distinct_experts = 0;       ///< used at least once in decode
  double popularity_entropy = 0;  ///< of decode selections, divided by log(experts): 1 = uniform
  double top_share = 0;           ///< share of decode selections that the most popular 10 % of experts take
  double lag1_overlap = 0;        ///< mean over decode steps of |set(t) n set(t-1)| / |set(t)|, same request
  /// The same of step t with each of the steps t - 48 to t - 17, mean over such pairs: what popular experts
  /// share at any distance. 0 where no request has 18 steps.
  double distant_overlap = 0;
  double cross_layer_repeat =
      0;  ///< mutual information of this layer's and the previous MoE layer's first choice,
          ///< over the entropy of this layer's: 0 = independent, 1 = determined
  double mean_activated = 0;  ///< distinct experts a decode step
};

struct TraceStatistics {
  TraceInfo info;
  std::int64_t encoder_tokens = 0, prefill_tokens = 0, decode_tokens = 0;
  std::vector<LayerStatistics> layers;
  double distinct_experts = 0, popularity_entropy = 0, top_share = 0, lag1_overlap = 0, distant_overlap = 0,
         cross_layer_repeat = 0,
         mean_activated = 0;  ///< means over decoder layers
};

TraceStatistics measure(StepSource& source);

/// Everything that is wrong, at most `limit` lines: beyond what opening checks, ids twice in a token, gaps in
/// steps, counts and hash that do not match the content. Empty = sound.
std::vector<std::string> check(const std::string& path, std::size_t limit = 20);

}  // namespace pregate::trace
