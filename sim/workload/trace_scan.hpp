// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/cache/expert_cache.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// KV memory that is taken as tokens come, and may run out (sim/serve/kv_blocks.hpp).
struct PagedKv {
  int block = 16;  ///< tokens
  Bytes memory;    ///< of a GPU; 0: what all else leaves there
};

/// What a planner must know of a trace before it starts: sizes of buffers and memory, popularity. One pass.
struct TraceScan {
  int most_activated = 0;  ///< experts of one (step, layer), decode; of all phases when there is no decode
  int most_activated_prefill = 0;  ///< of one (step, layer) of a prefill
  int most_activated_encoder = 0;  ///< of one (step, layer) of an encoder pass
  int most_predicted = 0;          ///< likewise, of predicted experts
  std::string predicted_by;        ///< TraceInfo::predicted_by
  int most_step_tokens = 0;        ///< in one pass
  int most_prefill_tokens = 0;     ///< in one pass of a prefill, which may be taken in chunks
  int most_whole_tokens = 0;       ///< in one pass of a decode step or an encoder, which may not
  int most_sequences = 0;          ///< in one pass
  int most_context = 0;            ///< cached tokens a sequence after a decoder pass
  int most_encoder_tokens = 0;     ///< a sequence
  std::int64_t requests = 0, steps = 0;
  std::int64_t accesses = 0;  ///< activated experts over all (step, layer)
  std::int64_t routed = 0;    ///< routed entries: tokens x experts a token
  bool has_decode = false, has_prefill = false, has_encoder = false;
  std::optional<PagedKv> paged = std::nullopt;  ///< without a value there is memory for all sequences
  std::vector<std::int64_t> popularity;         ///< of each key: batches that activate it
};

TraceScan scan_trace(trace::StepSource& source, const ExpertMap& map);

/// For each access of the batches (step, layer), in order, the next batch that activates the same expert;
/// experts with `excluded[key]` (pinned ones, which never reach the cache) are left out. 4 bytes an access.
/// `start`, distinct experts that are there before, come first.
std::vector<cache::BatchIndex> next_uses(trace::StepSource& source, const ExpertMap& map,
                                         const std::vector<std::uint8_t>& excluded,
                                         std::span<const ExpertKey> start = {});

}  // namespace pregate::sim
