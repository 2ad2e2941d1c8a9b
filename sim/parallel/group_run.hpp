// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "sim/parallel/dealt_tokens.hpp"
#include "sim/parallel/rank_steps.hpp"
#include "sim/planner/layer_planner.hpp"
#include "sim/run/pass_runner.hpp"

namespace pregate::sim {

/// The GPUs of a machine, in the order of its topology.
std::vector<PlaceId> gpus_of(const Topology& topology);

/// What a rank brings to a run of several. All outlive the run.
struct RankPlan {
  const Rank& rank;
  const ExpertMap& map;
  const Plan& plan;
};

/// Whether every GPU's operations are issued where those of one stand for all: where nothing is offloaded,
/// GPUs of a stage do alike, but for the experts that are theirs. Times are the same.
enum class Drawn : std::uint8_t { all, one_of_alike };

/// One planner a GPU over one program and one executor: each plans its layers and its experts as if it were
/// alone, and where GPUs need each other's results they meet. The host sees the gates of a layer GPU by GPU.
///
/// Stages follow one another: a pass is in one of them at a time, and the next pass begins when the last one
/// is done. In a stage of several GPUs the parts of what attention computed are summed, and so are those of
/// what the experts did (all-reduce). GPUs that attend to requests of their own get each other's tokens and
/// give back what became of them: docs/several-gpus.md.
class GroupRun final : public PassRunner {
 public:
  /// `whole`: of the trace that passes are of. `token`: activations of one between layers; `logits`: of one,
  /// of the whole vocabulary. `shape` begins passes with an operation of their own.
  GroupRun(const Topology& topology, const ParallelSpec& spec, const trace::TraceInfo& whole,
           std::span<const RankPlan> ranks, const WorkShape& shape, Bytes token, Bytes logits,
           const Estimates* estimates, Executor& executor, Drawn drawn);

  Picoseconds run(const Pass& pass) override;
  void idle_until(Picoseconds time) override { executor_.idle_until(time); }
  void finish() override;

  [[nodiscard]] const AccessCounts& decode_counts() const override { return decode_counts_; }
  [[nodiscard]] const AccessCounts& other_counts() const override { return other_counts_; }
  [[nodiscard]] Tally tally() const override { return executor_.tally(); }
  [[nodiscard]] PathPoint end() const override { return executor_.end(); }
  /// Of each GPU, after finish().
  [[nodiscard]] const std::vector<AccessCounts>& counts_by_gpu() const { return by_gpu_; }
  /// Of each GPU: tokens times experts that its experts computed.
  [[nodiscard]] const std::vector<std::int64_t>& routed_by_gpu() const { return routed_; }

 private:
  /// A rank at work.
  struct Member {
    Member(const RankPlan& plan, const trace::TraceInfo& whole, const Topology& topology, PlaceId gpu,
           const Estimates* estimates, Executor& executor, LayerProgram& program)
        : rank(plan.rank),
          gpu(gpu),
          seen(plan.rank, whole),
          routing(plan.map),
          predictions(plan.map, whole),
          planner(topology, gpu, plan.map, plan.plan, estimates, executor, program),
          predicts(is_shown_recorded(*plan.plan.policy.lookahead.predictor, whole.predicted_by)),
          asks_step(predicts || plan.plan.cache_watches || plan.plan.policy.miss.service->needs_weights) {}
    const Rank& rank;
    PlaceId gpu;
    RankPass seen;
    std::vector<ExpertKey> here;  ///< of each expert of the trace its key here; StepRouting::no_key: none
    StepRouting routing;
    StepPredictions predictions;
    LayerPlanner planner;
    bool predicts, asks_step;  ///< the step's own entries
    [[nodiscard]] const StepPredictions* predicted() const { return predicts ? &predictions : nullptr; }
  };
  using Members = std::span<const std::unique_ptr<Member>>;

  [[nodiscard]] Members stage(int number) const;
  /// Of these, those that issue what all of them do.
  [[nodiscard]] Members leading(Members members) const { return alike_ ? members.first(1) : members; }
  /// The experts of the GPUs of a stage but the first, which does all else for them.
  void compute_others(Members all, int ordinal, int layer_class);
  void begin(const Pass& pass);
  void hand_over(int to_stage);
  void dense_layer(Members members, int layer, int layer_class);
  void moe_layer(Members members, int ordinal, int layer_class);
  void get_tokens(Members members, int ordinal);
  void give_back_tokens(Members members);
  void sum_parts(Members members);
  /// All of `members` exchange at once.
  void meet(Members members, const Meeting& meeting);
  /// The same within each group of `size`.
  void meet_in_groups(Members members, int size, const Meeting& meeting);
  [[nodiscard]] Bytes activations(int tokens) const { return token_ * std::int64_t{tokens}; }

  const ParallelSpec spec_;
  Executor& executor_;
  LayerProgram program_;
  Bytes token_, logits_;
  const trace::TraceInfo& whole_;
  DealtTokens dealt_;
  std::vector<std::vector<std::uint8_t>> owners_;  // by MoE layer of the trace: of each expert, in its stage
  std::span<const std::uint16_t> ids_;             // of the pass, and of the layer that is next
  std::vector<std::unique_ptr<Member>> members_;
  bool alike_ = false;
  std::vector<OpId> others_;  // their experts, of the layer
  OpId pass_end_ = no_op;
  int tokens_ = 0, logit_rows_ = 0;  // of the pass, of the group that has most
  Bytes routed_bytes_;               // of the layer, where tokens are routed
  std::vector<OpId> ready_, meeting_;
  AccessCounts decode_counts_, other_counts_;
  std::vector<AccessCounts> by_gpu_;
  std::vector<std::int64_t> routed_;
};

}  // namespace pregate::sim
