// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/planner/plan.hpp"
#include "sim/retime/pass_log.hpp"
#include "sim/run/counted_decisions.hpp"

namespace pregate::sim {

/// Layers of a body that miss equally many experts, over all of its passes.
struct LoggedMisses {
  std::uint32_t body = 0;
  std::uint32_t load = 0;  ///< place among the body's
  std::uint32_t misses = 0;
  std::int64_t layers = 0;
};

/// Passes of a body whose layers copy the same, where layers announce.
struct LoggedCopies {
  std::uint32_t body = 0;
  std::size_t first_layer = 0;  ///< in CopyLog::copies, of each MoE layer
  std::int64_t passes = 0;
  std::int64_t experts = 0;  ///< that one of them copies
};

/// Experts that a MoE layer copies: those that its gate chose, then those announced for a later one.
struct LayerCopies {
  std::uint16_t misses = 0, announced = 0;
  bool operator==(const LayerCopies&) const = default;
};

/// What a plan that decides by counts copies in the passes of a run.
class CopyLog {
 public:
  /// As CountedDecisions; all outlive the driving.
  CopyLog(const ExpertMap& map, const Plan& plan, StackLookups* shared);

  void add(const Pass& pass, std::uint32_t body, const PassLog& passes);
  /// The same of a plan that copies on demand, of a pass whose hits were counted elsewhere; `misses` follow
  /// at the end.
  void add_counted(const Pass& pass, std::uint32_t hits, std::uint32_t activated);
  void finish();

  [[nodiscard]] bool announces() const { return decisions_.announces(); }
  [[nodiscard]] bool offloads() const { return decisions_.offloads(); }
  [[nodiscard]] int distance() const { return decisions_.distance(); }
  [[nodiscard]] bool is_usable() const { return is_usable_; }
  [[nodiscard]] const AccessCounts& decode_counts() const { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const { return other_counts_; }
  /// As of PassLog.
  [[nodiscard]] std::size_t words() const;

  std::vector<LoggedMisses> misses;  ///< by body; where nothing is announced
  std::vector<LoggedCopies> runs;    ///< where layers announce
  std::vector<LayerCopies> copies;
  std::vector<std::uint32_t> run_of_pass;     ///< where layers announce
  std::vector<std::uint32_t> misses_of_pass;  ///< where nothing is announced
  std::int64_t experts_copied = 0;            ///< of all passes
  std::uint16_t most_copied = 0;              ///< of `copies`, either of a layer

 private:
  std::uint32_t run_of(const Pass& pass, std::uint32_t body);
  std::uint32_t run_with(std::uint32_t body);
  void make_room_for_run();
  void count_misses(const Pass& pass, std::uint32_t body, const PassLog& passes);
  /// Where a body's layers are counted, by load and misses, in `layers_of_`.
  struct Counted {
    std::size_t first = 0, width = 0;
  };

  const ExpertMap& map_;
  CountedDecisions decisions_;
  std::vector<LayerCopies> copies_now_;    // of the pass
  std::vector<std::uint32_t> run_places_;  // a hash table: numbers of runs, one more than they are; 0: free
  std::vector<std::uint64_t> run_hashes_;  // by run
  std::vector<Counted> counted_;           // by body
  std::vector<std::int64_t> layers_of_;
  bool is_usable_ = true;
  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
