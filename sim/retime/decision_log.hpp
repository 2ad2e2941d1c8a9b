// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "models/model.hpp"
#include "sim/planner/plan.hpp"
#include "sim/run/counted_decisions.hpp"
#include "sim/run/pass_runner.hpp"

namespace pregate::sim {

/// What a pass costs depends on, beside the load of its MoE layers.
struct LoggedShape {
  StepShape shape;  ///< its `alike` is in `alike`
  std::vector<AlikeSequences> alike;
  int stack = 0;  ///< of the trace
};

/// How many tokens the activated experts of a MoE layer get.
struct LoggedLoad {
  int layer = 0;  ///< of its stack: this one, or one that costs the same
  std::uint32_t activated = 0, routed = 0;
  std::size_t first_token = 0;  ///< of each activated expert, in DecisionLog::tokens
};

/// Passes that cost the same but for copies.
struct LoggedBody {
  std::uint32_t shape = 0;
  std::size_t first_load = 0, loads = 0;  ///< distinct ones, in DecisionLog::loads
  std::size_t first_layer = 0;  ///< in load_of_layer: of each MoE layer, as a place among those loads
  std::size_t first_misses = 0, last_misses = 0;  ///< in DecisionLog::misses, where nothing is announced
  std::int64_t passes = 0;
};

/// Layers of a body that miss equally many experts, over all of its passes.
struct LoggedMisses {
  std::uint32_t load = 0;  ///< place among the body's
  std::uint32_t misses = 0;
  std::int64_t layers = 0;
};

/// Passes of a body whose layers copy the same, where layers announce.
struct LoggedCopies {
  std::uint32_t body = 0;
  std::size_t first_layer = 0;  ///< in DecisionLog::copies, of each MoE layer
  std::int64_t passes = 0;
};

/// Experts that a MoE layer copies: those that its gate chose, then those announced for a later one.
struct LayerCopies {
  std::uint16_t misses = 0, announced = 0;
};

/// Of a plan that decides by counts, all that decides its times beside the machine: passes that are the same
/// are kept once. Fills itself as it is driven through the passes as if each took one picosecond: times of
/// what drives it are numbers of passes.
class DecisionLog final : public PassRunner {
 public:
  /// Precondition: decides_by_counts(), and no passes that depend on time. All outlive the driving.
  DecisionLog(const ModelSpec& model, const ExpertMap& map, const Plan& plan);

  Picoseconds run(const Pass& pass) override;
  void idle_until(Picoseconds) override { is_usable_ = false; }
  void finish() override;

  [[nodiscard]] const AccessCounts& decode_counts() const override { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const override { return other_counts_; }
  [[nodiscard]] Tally tally() const override { return {}; }
  [[nodiscard]] PathPoint end() const override { return {}; }

  /// False: it grew too large, or something did depend on time.
  [[nodiscard]] bool is_usable() const { return is_usable_; }
  [[nodiscard]] bool announces() const { return decisions_.announces(); }
  [[nodiscard]] bool offloads() const { return decisions_.offloads(); }
  [[nodiscard]] int distance() const { return decisions_.distance(); }
  /// MoE layers of a stack, as its copies and loads have them.
  [[nodiscard]] std::size_t moe_layers(int stack) const;

  std::vector<LoggedShape> shapes;
  std::vector<LoggedBody> bodies;
  std::vector<LoggedLoad> loads;
  std::vector<std::uint16_t> load_of_layer;
  std::vector<std::uint32_t> tokens;
  std::vector<LoggedMisses> misses;  ///< by body; where nothing is announced
  std::vector<LoggedCopies> runs;    ///< by body; where layers announce
  std::vector<LayerCopies> copies;
  std::vector<std::uint32_t> body_of_pass;    ///< of each pass in its order; where layers announce its run
  std::vector<std::uint32_t> misses_of_pass;  ///< where nothing is announced
  std::int64_t experts_copied = 0, layers_run = 0;  ///< of all passes

 private:
  using Key = std::vector<std::uint32_t>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  using Numbers = std::unordered_map<Key, std::uint32_t, KeyHash>;
  std::uint32_t shape_of_pass(const Pass& pass);
  std::uint32_t body_of(const Pass& pass);
  std::uint32_t run_of(const Pass& pass, std::uint32_t body, AccessCounts& counts);
  void count_misses(const Pass& pass, std::uint32_t body);
  void keep_budget();

  const ModelSpec& model_;
  const ExpertMap& map_;
  CountedDecisions decisions_;
  std::vector<int> alike_layer_;  // by ordinal: the first layer of its stack that costs the same
  Numbers shape_numbers_, body_numbers_, run_numbers_;
  std::vector<std::unordered_map<std::uint64_t, std::int64_t>> misses_of_body_;  // by load << 32 | misses
  Key key_;
  std::int64_t passes_ = 0;
  bool is_usable_ = true;
  AccessCounts decode_counts_, other_counts_;
};

}  // namespace pregate::sim
