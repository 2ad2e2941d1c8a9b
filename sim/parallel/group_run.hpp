// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/expert_placement/rebalancing.hpp"
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
enum class Drawn : std::uint8_t {
  all,
  one_of_alike,
  /// Of their experts, too, only those that take longest: on the second of two GPUs that a stage then has in
  /// the topology. For more GPUs than a topology has ways for.
  slowest_of_alike,
};

/// The time of a layer's experts on a GPU in the pass that runs.
using ExpertTime = std::function<Picoseconds(int layer_class, std::span<const std::uint32_t> tokens,
                                             std::uint32_t routed, int pass_tokens)>;

/// What a run on several GPUs is about, beside their plans. All outlives the run.
struct GroupSetting {
  const trace::TraceInfo& whole;  ///< of the trace that passes are of
  const ExpertMap& map;           ///< of the same
  int gpus_a_host = 1;
  Bytes token, logits;  ///< activations of a token between layers; logits of one, of the whole vocabulary
  Drawn drawn = Drawn::all;
  ExpertTime expert_time = nullptr;  ///< of slowest_of_alike
};

/// What was done with experts that are spread.
struct SpreadTotals {
  std::int64_t dropped = 0, routed = 0;  ///< static gating: (token, expert) pairs without room, and all
  std::int64_t rows = 0;                 ///< rows of experts sent and computed for them
  std::int64_t rebalancings = 0, copies = 0;
  Bytes copied;
};

/// One planner a GPU over one program and one executor: each plans its layers and its experts as if it were
/// alone, and where GPUs need each other's results they meet. The host sees the gates of a layer GPU by GPU.
///
/// Stages follow one another: a pass is in one of them at a time. The next pass begins when the one before is
/// done (run()), or, where several are under way, in the stages that those have left. In a stage of several
/// GPUs the parts of what attention computed are summed, and so are those of what the experts did
/// (all-reduce); each part of a pass that is cut into micro-batches has sums of its own. GPUs that attend to
/// requests of their own get each other's tokens and give back what became of them: docs/several-gpus.md.
class GroupRun final : public PassRunner {
 public:
  /// `shape` begins passes with an operation of their own. std::logic_error where not all is drawn and some
  /// GPU does otherwise than the others.
  GroupRun(const Topology& topology, const ParallelSpec& spec, const GroupSetting& setting,
           std::span<const RankPlan> ranks, const WorkShape& shape, const Estimates* estimates,
           Executor& executor);

  Picoseconds run(const Pass& pass) override;
  void start(const Pass& pass) override;
  Picoseconds end_oldest() override;
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
  [[nodiscard]] const SpreadTotals& totals() const { return totals_; }

 private:
  /// A rank at work.
  struct Member {
    Member(const RankPlan& plan, const trace::TraceInfo& whole, const Topology& topology, PlaceId at,
           const Estimates* estimates, Executor& executor, LayerProgram& program)
        : rank(plan.rank),
          map(plan.map),
          gpu(at),
          seen(plan.rank, whole),
          routing(plan.map),
          predictions(plan.map, whole),
          planner(topology, at, plan.map, plan.plan, estimates, executor, program),
          predicts(is_shown_recorded(*plan.plan.policy.lookahead.predictor, whole.predicted_by)),
          asks_step(predicts || plan.plan.cache_watches || plan.plan.policy.miss.service->needs_weights) {}
    const Rank& rank;
    const ExpertMap& map;
    PlaceId gpu;
    RankPass seen;
    std::vector<ExpertKey> here;  ///< of each expert of the trace its key here; StepRouting::no_key: none
    std::vector<ReplicaShare> shares;  ///< of its tokens; empty: nothing has copies
    StepRouting routing;
    std::vector<StepRouting> parts;  ///< the same of each micro-batch of a pass that is cut
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
  /// Of its experts: MoE layers of the pass from `first` on, which are `to` and following here.
  void load_routing(Member& member, const Pass& pass, int first, int to, int count);
  void spread(const ExpertHomes& homes);
  void take_homes(Member& member);
  void place_anew();
  void move_experts();
  void deal_rooms();
  [[nodiscard]] PlaceId place_of(const Rank& rank, const std::vector<PlaceId>& gpus) const;
  /// All tokens of a stage's groups, at each.
  [[nodiscard]] Meeting gathered(Exchange exchange, int tokens) const;
  /// All of a stage send each other as much.
  [[nodiscard]] Meeting even_all_to_all(Bytes sent) const;
  [[nodiscard]] Meeting all_to_all(const ExchangeTotals& exchanged) const;
  void hand_over(int to_stage);
  void dense_layer(Members members, int layer, int layer_class);
  void moe_layer(Members members, int ordinal, int layer_class);
  /// Attention, its sums, gates and what GPUs need of each other before the experts.
  void begin_moe_layer(Members members, int ordinal, int own, int layer_class);
  /// The same of a pass that is cut, part by part.
  void begin_in_micro_batches(Members members, int ordinal, int own, int layer_class);
  /// A pass, or a part of one that is cut.
  struct Part {
    int tokens = 0;              ///< of the group that has most
    std::size_t first = 0;       ///< of its tokens, all groups', in the pass
    std::size_t all_tokens = 0;  ///< all groups'
    Meeting routed{};            ///< of the layer, where tokens are routed
  };
  void cut(const Pass& pass, std::span<const StepShape> of_first);
  void take_ids(int ordinal);
  /// What GPUs that attend to requests of their own send each other before a layer's experts: until their
  /// gates are read, and after that.
  void meet_before_ids(Members members, int ordinal, Part& part);
  void meet_after_ids(Members members, Part& part);
  void give_back_tokens(Members members);
  /// The sum of what GPUs have of each token, part by part.
  void sum_parts(Members members);
  void sum(Members members, int tokens);
  /// All of `members` exchange at once.
  void meet(Members members, const Meeting& meeting);
  /// The same within each group of `size`.
  void meet_in_groups(Members members, int size, const Meeting& meeting);
  [[nodiscard]] Bytes activations(std::int64_t tokens) const { return setting_.token * tokens; }

  const ParallelSpec spec_;
  Executor& executor_;
  LayerProgram program_;
  const GroupSetting setting_;
  DealtTokens dealt_;
  std::vector<ExpertOwners> owners_;  // by MoE layer of the trace, of GPUs of its stage
  std::optional<Rebalancer> rebalancer_;
  std::vector<ExpertArrival> arrived_;  // with the pass
  std::int64_t room_ = 0;               // of an expert for each GPU that sends, in the pass; static gating
  std::span<const std::uint16_t> ids_;  // of the pass, from the layer on that is next
  std::span<const std::uint16_t> ids_of_layer_;
  std::vector<std::unique_ptr<Member>> members_;
  bool alike_ = false;
  std::vector<OpId> others_;         // their experts, of the layer
  std::deque<OpId> under_way_;       ///< the ends of the passes that are
  OpId ended_ = no_op;               ///< of the last that is not
  int tokens_ = 0, logit_rows_ = 0;  // of the pass, of the group that has most
  std::vector<Part> parts_;          // of the pass; one, where it is not cut
  std::vector<OpId> ready_, meeting_;
  AccessCounts decode_counts_, other_counts_;
  std::vector<AccessCounts> by_gpu_;
  std::vector<std::int64_t> routed_;
  SpreadTotals totals_;
};

}  // namespace pregate::sim
