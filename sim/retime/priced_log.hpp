// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/counted_clock.hpp"
#include "sim/retime/pass_log.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// What is computed before MoE layer `layer` of a pass, behind the one before it; or behind the last.
struct ComputedBetween {
  std::size_t layer = 0;
  GpuTime time;
};

/// What a body's passes take of a machine, copies left out.
struct PricedBody {
  std::size_t first_between = 0, last_between = 0;  ///< in PricedLog::between
  CountedSums sums;                                 ///< of a pass: all of its operations but copies
  Picoseconds computing;                            ///< of a pass
  std::int64_t computed = 0;                        ///< operations of a pass outside of MoE layers
  /// Time of a pass that copies nothing: then each operation begins when the one before it has ended.
  [[nodiscard]] Picoseconds whole() const { return computing + sums.readback; }
};

/// Passes priced for machines that differ in nothing but the copying of experts.
struct PricedLog {
  std::vector<LayerTimes> loads;  ///< as PassLog::loads
  std::vector<PricedBody> bodies;
  std::vector<ComputedBetween> between;
  /// Attention, gate and read-back of every layer take time, and so do experts.
  bool all_take_time = true;
};

/// `offloads`: the host must know each layer's ids, as something can be missing.
PricedLog price(const PassLog& log, bool offloads, const ModelSpec& model, const trace::TraceInfo& info,
                CostModel& costs);

}  // namespace pregate::sim
