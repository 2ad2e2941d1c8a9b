// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/device.hpp"
#include "runtime/weights/expert_store.hpp"
#include "sim/simulate.hpp"

namespace pregate::validation {

/// Thresholds, from ladder.toml: written down before the first run.
struct LadderGates {
  double primitive_mape = 0;  ///< tier 1, per cent
  double block_mape = 0;      ///< tier 2, per cent
  double tokens_mape = 0;     ///< tier 3, per cent
  double order_share = 0;     ///< tier 3, per cent of the pairs that can be told apart
  double tellable = 0;        ///< a pair can be told apart when it differs by more than this many spreads
};
LadderGates ladder_gates();

/// In per cent of what was measured; 0 where nothing was.
inline double error_percent(double predicted, double measured) {
  return measured == 0 ? 0 : 100 * (predicted - measured) / measured;
}

/// One figure, simulated and measured.
struct LadderRow {
  int tier = 0;
  std::string what;    ///< "copy 96 KiB", "pre-gated, cache 25%, batch 2"
  std::string metric;  ///< "us", "block latency ms", "tokens/s"
  double predicted = 0, measured = 0;
  double spread = 0;      ///< of the repeats, per cent: median_uncertainty(); of primitives relative_spread()
  bool decidable = true;  ///< the spread is below the tier's gate
  [[nodiscard]] double error() const { return error_percent(predicted, measured); }
};

/// Where a point's error comes from: the operations of one kind, what each kept its successors waiting.
struct OperationRow {
  std::string what;  ///< the point
  std::string kind;
  std::int64_t count = 0;  ///< in a run
  double predicted_us = 0;
  double measured_us = 0;  ///< mean of a run; median of the repeats
  bool explains = false;   ///< block latency or tokens/s of its point is off by more than the gate
  [[nodiscard]] double error() const { return error_percent(predicted_us, measured_us); }
};

/// One of tier 0's comparisons.
struct ExactRow {
  std::string what;
  std::int64_t operations = 0;
  bool same_schedule = false, same_bytes = false, same_hits = false;
  [[nodiscard]] bool holds() const { return same_schedule && same_bytes && same_hits; }
};

enum class Verdict { passed, failed, undecidable };
const char* to_string(Verdict verdict);

/// A tier's verdict and the figure that it rests on.
struct TierResult {
  int tier = 0;
  std::string gate;  ///< "block latency: MAPE <= 10 %"
  double figure = 0;
  int rows = 0, undecidable = 0;
  Verdict verdict = Verdict::undecidable;
  bool counts_pairs = false;  ///< rows are pairs of designs; those too alike to be told apart are no fault
  /// More than half of its rows spread more than the gate: nothing was shown, whatever the verdict.
  [[nodiscard]] bool is_mostly_undecidable() const { return !counts_pairs && undecidable > rows; }
};

/// Two timelines of one schedule, for the report.
struct TimelinePair {
  std::string what;
  sim::Schedule schedule;
  sim::Timeline simulated, measured;
};

struct LadderResult {
  std::string device, machine, model, trace;
  std::vector<ExactRow> exact;
  std::vector<LadderRow> rows;
  std::vector<OperationRow> operations;
  std::vector<TierResult> tiers;
  std::vector<std::string> notes;
  bool with_scores = false;  ///< attention over the KV cache was executed and simulated
  std::vector<TimelinePair> timelines;
  [[nodiscard]] bool failed() const;
  /// Of some tier most rows are undecidable.
  [[nodiscard]] bool undecided() const;
};

/// One configuration of the grid: a policy with its cache on the trace as it comes.
struct GridPoint {
  std::string name;
  std::string workload;  ///< points of one workload are ordered against each other
  PolicySpec policy;
  trace::StepSource* source = nullptr;
};

struct LadderOptions {
  int repeats = 6;
  runtime::StoreOptions experts = {};
  int most_tokens = 64;
  runtime::Attention attention = runtime::Attention::products;
  std::function<void(const std::string& stage)> progress = nullptr;
};

/// Simulates and executes every point, interleaved and repeated, and climbs the ladder: tier 0 schedules,
/// bytes and hits; tier 1 copies and operations at sizes and token counts between the calibrated ones, probed
/// before, halfway through and after the runs; tier 2 block latency; tier 3 tokens/s and the order of
/// designs. Where the runtime does not execute attention's scores over the KV cache the simulation leaves
/// them out as well; tier 1 probes operations without them in any case.
LadderResult climb(runtime::Device& device, const ModelSpec& model, const MachineSpec& machine,
                   const std::vector<GridPoint>& grid, const LadderOptions& options);

/// What a run on the device that `machine` describes may fill: its memory. The host's is for the store of
/// experts to refuse, as they may share buffers.
sim::MemoryLimits device_memory(const MachineSpec& machine);

/// Verdicts from rows; climb() calls it.
std::vector<TierResult> judge(const std::vector<ExactRow>& exact, const std::vector<LadderRow>& rows,
                              const std::vector<GridPoint>& grid, const LadderGates& gates);

/// Copies and operations that are mostly off in one direction say more about the machine than about the
/// model: a note for the user, or empty.
std::string drift_note(const std::vector<LadderRow>& rows);

}  // namespace pregate::validation
