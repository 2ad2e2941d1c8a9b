// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/served_steps.hpp"

#include <algorithm>
#include <limits>

namespace pregate::sim {

namespace {

/// `count` of as many requests, at most `limit`.
int times(int count, std::int64_t requests, std::int64_t limit = std::numeric_limits<int>::max()) {
  return static_cast<int>(std::min(limit, std::int64_t{count} * requests));
}

/// What passes of `requests` requests hold at most, each as in `scan`.
void widen(TraceScan& scan, const ExpertMap& map, std::int64_t requests, bool mixes, int prompt_chunk) {
  int experts = 0;  // of a layer
  for (const MoeLayer& layer : map.layers()) experts = std::max(experts, layer.experts);
  scan.most_activated = times(scan.most_activated, requests, experts);
  scan.most_activated_prefill = times(scan.most_activated_prefill, requests, experts);
  scan.most_activated_encoder = times(scan.most_activated_encoder, requests, experts);
  scan.most_predicted = times(scan.most_predicted, requests, experts);
  const int chunk = prompt_chunk > 0 ? prompt_chunk : std::numeric_limits<int>::max();
  scan.most_prefill_tokens =
      times(scan.most_prefill_tokens, requests, std::min(chunk, trace::max_step_tokens));
  scan.most_whole_tokens = times(scan.most_whole_tokens, requests, trace::max_step_tokens);
  if (mixes) {
    scan.most_activated = times(scan.most_activated + scan.most_activated_prefill, 1, experts);
    scan.most_whole_tokens = times(scan.most_whole_tokens + scan.most_prefill_tokens, 1);
  }
  scan.most_step_tokens = std::max(scan.most_prefill_tokens, scan.most_whole_tokens);
  scan.most_sequences = times(scan.most_sequences, requests);
}

/// Who loses its KV memory has its prompt and what it said so far passed again, as one prompt.
void count_recomputed(TraceScan& scan, const ExpertMap& map) {
  scan.most_prefill_tokens = std::max(scan.most_prefill_tokens, scan.most_context);
  scan.has_prefill = true;
  for (const MoeLayer& layer : map.layers())
    scan.most_activated_prefill = std::max(scan.most_activated_prefill, layer.experts);
}

}  // namespace

ServedSteps::ServedSteps(trace::StepSource& source, const ServingSpec& serving)
    : source_(source),
      serving_(serving),
      is_source_(serving.is_lock_step() || serving.depends_on_time(source.info())) {}

bool ServedSteps::next(trace::Step& step) {
  if (is_source_) return source_.next(step);
  if (!batcher_) batcher_ = serving_.make(source_);
  if (!batcher_->next({}, pass_)) return false;
  step = pass_.step;
  return true;
}

void ServedSteps::rewind() {
  batcher_.reset();
  source_.rewind();
}

TraceScan scan_served(trace::StepSource& source, const ExpertMap& map, const ServingSpec& serving) {
  ServedSteps steps(source, serving);
  TraceScan scan = scan_trace(steps, map);
  const std::optional<PagedKv> paged = serving.paged_kv();
  if (!serving.depends_on_time(source.info())) return scan;
  const auto& parameters = serving.batcher.parameters();
  const std::int64_t most = serving.batcher->most_requests(parameters);
  scan.paged = paged;
  if (paged) count_recomputed(scan, map);
  widen(scan, map, std::clamp<std::int64_t>(scan.requests, 1, most),
        serving.batcher->mixes_prompts(parameters), serving.prompt_chunk);
  return scan;
}

}  // namespace pregate::sim
