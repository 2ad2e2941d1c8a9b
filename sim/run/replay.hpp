// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/units.hpp"
#include "sim/policy/policy.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Hit rates of an expert cache on a trace, without any timing.
struct ReplayResult {
  std::int64_t routed = 0;              ///< routed entries replayed
  std::int64_t hits = 0, accesses = 0;  ///< activated experts of all phases
  std::int64_t decode_hits = 0, decode_accesses = 0;
  std::int64_t swaps = 0;    ///< experts that came in at the end of a pass
  Bytes read;                ///< size of all misses and swaps; 0 when the trace records no sizes
  std::int64_t batches = 0;  ///< (step, layer) pairs
};

/// Replays one (step, layer) after the other, each an atomic batch (sim/cache/expert_cache.hpp). Capacity in
/// bytes with the sizes that the trace records (they may differ by layer), or in slots or a share. Uses the
/// `cache` part of the policy only. InputError: unknown eviction, a byte capacity for a trace that records no
/// sizes and no `expert_bytes` is given.
ReplayResult replay(trace::StepSource& source, const PolicySpec& policy, Bytes expert_bytes = {});

}  // namespace pregate::sim
