// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/trace_scan.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

int most_in_a_layer(const StepRouting& routing, std::pair<int, int> ordinals) {
  std::size_t most = 0;
  for (int ordinal = ordinals.first; ordinal < ordinals.second; ++ordinal) {
    most = std::max(most, routing.activated(ordinal).size());
  }
  return static_cast<int>(most);
}

}  // namespace

TraceScan scan_trace(trace::StepSource& source, const ExpertMap& map) {
  TraceScan scan;
  scan.popularity.assign(map.keys(), 0);
  scan.predicted_by = source.info().predicted_by;
  StepRouting routing(map), predictions(map);
  int most_other_predicted = 0;
  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    routing.load(step);
    const auto ordinals = map.ordinals(step.stack);
    for (int ordinal = ordinals.first; ordinal < ordinals.second; ++ordinal) {
      for (const ExpertKey key : routing.activated(ordinal)) ++scan.popularity[key];
      scan.accesses += static_cast<std::int64_t>(routing.activated(ordinal).size());
      scan.routed += routing.routed(ordinal);
    }
    const bool decode = step.phase == trace::Phase::decode;
    const bool encoder = step.phase == trace::Phase::encoder;
    int& activated = decode    ? scan.most_activated
                     : encoder ? scan.most_activated_encoder
                               : scan.most_activated_prefill;
    activated = std::max(activated, most_in_a_layer(routing, ordinals));
    if (!step.predicted.empty()) {
      trace::Step view = step;
      int& predicted = decode ? scan.most_predicted : most_other_predicted;
      for (std::size_t first = 0; first < step.predicted.size(); first += step.experts.size()) {
        view.experts = step.predicted.subspan(first, step.experts.size());
        predictions.load(view);
        predicted = std::max(predicted, most_in_a_layer(predictions, ordinals));
      }
    }
    const int sequences = std::max(1, step.sequences);
    const int each = (step.tokens + sequences - 1) / sequences;
    scan.most_step_tokens = std::max(scan.most_step_tokens, step.tokens);
    int& tokens = decode || encoder ? scan.most_whole_tokens : scan.most_prefill_tokens;
    tokens = std::max(tokens, step.tokens);
    scan.most_sequences = std::max(scan.most_sequences, sequences);
    if (encoder) {
      scan.has_encoder = true;
      scan.most_encoder_tokens = std::max(scan.most_encoder_tokens, each);
    } else {
      (decode ? scan.has_decode : scan.has_prefill) = true;
      scan.most_context =
          std::max(scan.most_context, step.chunk ? step.chunk->context : step.position + each);
    }
    scan.requests += step.first_of_request ? 1 : 0;
    ++scan.steps;
  }
  if (!scan.has_decode) {
    scan.most_activated = std::max(scan.most_activated_prefill, scan.most_activated_encoder);
    scan.most_predicted = most_other_predicted;
  }
  source.rewind();
  return scan;
}

std::vector<cache::BatchIndex> next_uses(trace::StepSource& source, const ExpertMap& map,
                                         const std::vector<std::uint8_t>& excluded,
                                         std::span<const ExpertKey> start) {
  constexpr std::size_t unseen = static_cast<std::size_t>(-1);
  std::vector<cache::BatchIndex> uses;
  // A hint only: the count comes from a file.
  uses.reserve(static_cast<std::size_t>(std::clamp<std::int64_t>(source.info().routed_entries, 0, 1 << 26)));
  std::vector<std::size_t> last_access(map.keys(), unseen);
  for (const ExpertKey key : start) {
    last_access[key] = uses.size();
    uses.push_back(cache::never);
  }
  StepRouting routing(map);
  cache::BatchIndex batch = 0;
  trace::Step step;
  source.rewind();
  while (source.next(step)) {
    routing.load(step);
    const auto [first, last] = map.ordinals(step.stack);
    for (int ordinal = first; ordinal < last; ++ordinal, ++batch) {
      if (batch == cache::never) {
        throw InputError("trace", "too long for a policy that knows the future: 2^32 (step, layer) pairs",
                         "use an online eviction policy such as lru");
      }
      for (const ExpertKey key : routing.activated(ordinal)) {
        if (excluded[key] != 0) continue;
        if (last_access[key] != unseen) uses[last_access[key]] = batch;
        last_access[key] = uses.size();
        uses.push_back(cache::never);
      }
    }
  }
  source.rewind();
  return uses;
}

}  // namespace pregate::sim
