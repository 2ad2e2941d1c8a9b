// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "sim/cost/memory_model.hpp"
#include "sim/planner/plan.hpp"
#include "sim/policy/policy.hpp"

namespace pregate::sim {

class PreparedTrace;
struct MemoryLimits;

/// The next step after an out-of-memory, each part tried against the memory model.
struct FitsWith {
  /// The largest expert cache that fits; `none`: it fits only without one. Absent: not even then.
  std::optional<Capacity> cache;
  Bytes cache_bytes;          ///< what it takes of GPU memory
  bool on_each_gpu = false;   ///< of several, each has such a cache
  bool tried_caches = false;  ///< else the run has none to size
  bool as_on_demand = false;  ///< the policy offloads nothing: the cache is that of the policy on-demand
  /// Formats of routed experts (of everything else) with which the run fits as it is, widest first; at most
  /// three.
  std::vector<std::string> weights, dense_weights;

  /// True when something fits.
  [[nodiscard]] bool any() const { return cache || !weights.empty() || !dense_weights.empty(); }
  /// "--cache '37 slots' (12.3 GiB), or --weights q6_k, q5_k or q4_k"; empty without any.
  [[nodiscard]] std::string text() const;
};

/// Whether the policy's memory is there, and nothing more.
bool fits_in_memory(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& policy,
                    const PreparedTrace& prepared, const Topology& topology, trace::StepSource& source,
                    CountedExperts counted, int prompt_chunk);

/// What a run takes under a policy, of the model in any formats; MemoryUse::fits() says whether it is there.
using MemoryOf = std::function<MemoryUse(const ModelSpec&, const PolicySpec&)>;

/// What of cache and formats makes the run fit that is out of memory. `map`: of the trace and model;
/// `may_offload`: caches are tried, too.
FitsWith what_fits(const ModelSpec& model, const PolicySpec& policy, const ExpertMap& map,
                   const MemoryOf& memory, bool may_offload = true);

}  // namespace pregate::sim
