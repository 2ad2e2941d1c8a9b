// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "models/units.hpp"
#include "sim/serve/batcher.hpp"
#include "sim/serve/pass_observer.hpp"

namespace pregate::sim {

/// What became of one request (of a batch in lock step, which is one). Times are of the run's clock.
struct RequestRecord {
  Picoseconds arrival{-1};                            ///< -1: it arrives when it begins
  Picoseconds begin{-1};                              ///< of its first pass
  Picoseconds first_token{-1};                        ///< end of the pass that gives it; -1: none came
  Picoseconds end{};                                  ///< of its last pass
  Picoseconds late{};                                 ///< from first_token to when it is handed out
  std::int64_t prompt_tokens = 0, output_tokens = 0;  ///< over its sequences
  std::int64_t later_passes = 0;                      ///< after the first token
  std::int64_t later_drafts = 0;                      ///< output tokens of those beyond one a sequence
  int sequences = 0;                                  ///< most in a pass
  int preemptions = 0;                                ///< times that it lost its KV memory
  std::int64_t recomputed_tokens = 0;                 ///< passed once more after that
  /// It begins with an encoder pass or a prefill. Without one its first recorded step is some token's, and
  /// tells nothing of the time to the first.
  bool has_prompt = false;

  [[nodiscard]] bool has_ttft() const { return has_prompt && first_token.count >= 0; }
  [[nodiscard]] bool has_tpot() const { return later_passes > 0; }
  [[nodiscard]] bool has_arrival() const { return arrival.count >= 0; }
  /// From its arrival until it is handed out.
  [[nodiscard]] Picoseconds ttft() const { return first_token + late - (has_arrival() ? arrival : begin); }
  /// Of one that has an arrival.
  [[nodiscard]] Picoseconds queued() const { return begin - arrival; }
  /// Time of an output token of a sequence after the first: of a pass, where none brings more than one. The
  /// last is taken to be handed out as late as the first.
  [[nodiscard]] double tpot_ms() const {
    const double drafts = static_cast<double>(later_drafts) / std::max(1, sequences);
    return (end - first_token).milliseconds() / (static_cast<double>(later_passes) + drafts);
  }
};

/// Exact nearest-rank percentiles in ms: the smallest value that at least that share does not exceed. NaN
/// without any value.
struct Percentiles {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  double p50 = unknown, p90 = unknown, p95 = unknown, p99 = unknown;
  static Percentiles of(std::vector<double> values_ms);
};

/// Keeps a record of every request, 96 bytes each, and what they come to.
class RequestLog final : public PassObserver {
 public:
  /// `late`: how much later than its end the tokens of a pass are handed out, where a pass with prompts
  /// begins then.
  explicit RequestLog(Picoseconds late = {}) : late_(late) {}
  /// Of records that were made elsewhere.
  explicit RequestLog(std::vector<RequestRecord> records) : records_(std::move(records)) {}

  /// A pass of these rows ran. A request begins with the first pass that has rows of it, and a pass gives it
  /// a token when all of these do.
  void ran(std::span<const Row> rows, Picoseconds begin, Picoseconds end) override;

  [[nodiscard]] const std::vector<RequestRecord>& records() const { return records_; }
  /// Gives them away.
  [[nodiscard]] std::vector<RequestRecord> take_records() { return std::move(records_); }
  /// Some request arrived at a time of its own.
  [[nodiscard]] bool has_arrivals() const;
  /// Requests that have a time to first token.
  [[nodiscard]] std::int64_t requests_with_prompt() const;
  /// Means over the requests that have one; 0 without any.
  [[nodiscard]] double mean_ttft_ms() const;
  [[nodiscard]] double mean_tpot_ms() const;
  [[nodiscard]] Percentiles ttft_percentiles() const;
  [[nodiscard]] Percentiles tpot_percentiles() const;
  /// Requests within both times; one that lacks a time is within it. 0: no limit.
  [[nodiscard]] std::int64_t within(Picoseconds ttft, Picoseconds tpot) const;
  /// Of the times from arrival to the first pass.
  [[nodiscard]] Percentiles queue_percentiles() const;

 private:
  void add_request(std::span<const Row> rows, Picoseconds begin, Picoseconds end);

  void hand_out(std::span<const Row> next_pass, Picoseconds begin);

  std::vector<RequestRecord> records_;
  Picoseconds late_;
  Picoseconds last_end_{-1};
  std::vector<std::size_t> first_tokens_;  ///< requests that have theirs from the last pass; only with late_
};

}  // namespace pregate::sim
