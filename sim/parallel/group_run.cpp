// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_run.hpp"

#include <algorithm>
#include <stdexcept>

#include "sim/parallel/group_checks.hpp"

namespace pregate::sim {

namespace {

WorkShape begun_by_an_operation(WorkShape shape) {
  shape.step_overhead = true;  // that the other GPUs wait for
  return shape;
}

std::vector<ExpertKey> keys_here(const Rank& rank, const trace::TraceInfo& whole) {
  std::vector<ExpertKey> here;
  ExpertKey next = 0;
  for (std::size_t i = 0; i < whole.layers.size(); ++i) {
    const auto experts = static_cast<std::size_t>(whole.layers[i].experts);
    const std::size_t own = i - rank.first_moe;
    const bool is_here = i >= rank.first_moe && own < rank.info.layers.size();
    if (!is_here) {
      here.insert(here.end(), experts, StepRouting::no_key);
      continue;
    }
    for (std::size_t expert = 0; expert < experts; ++expert) {
      const bool has = rank.here.empty() || rank.here[own][expert] != trace::no_expert;
      here.push_back(has ? next++ : StepRouting::no_key);
    }
  }
  return here;
}

}  // namespace

std::vector<PlaceId> gpus_of(const Topology& topology) {
  std::vector<PlaceId> gpus;
  for (std::size_t i = 0; i < topology.places.size(); ++i) {
    if (topology.places[i].kind == PlaceKind::gpu) gpus.push_back(static_cast<PlaceId>(i));
  }
  return gpus;
}

PlaceId GroupRun::place_of(const Rank& rank, const std::vector<PlaceId>& gpus) const {
  if (setting_.drawn != Drawn::slowest_of_alike) return gpus[static_cast<std::size_t>(rank.number)];
  const bool leads = rank.group == 0 && rank.part == 0;
  return gpus[2 * static_cast<std::size_t>(rank.stage) + (leads ? 0U : 1U)];
}

GroupRun::GroupRun(const Topology& topology, const ParallelSpec& spec, const GroupSetting& setting,
                   std::span<const RankPlan> ranks, const WorkShape& shape, const Estimates* estimates,
                   Executor& executor)
    : spec_(spec),
      executor_(executor),
      program_(begun_by_an_operation(shape)),
      setting_(setting),
      dealt_(spec, setting.gpus_a_host),
      owners_(setting.whole.layers.size()),
      by_gpu_(ranks.size()),
      routed_(ranks.size()) {
  const std::vector<PlaceId> gpus = gpus_of(topology);
  const bool are_alike = std::none_of(ranks.begin(), ranks.end(),
                                      [](const RankPlan& rank) { return is_drawn_by_itself(rank.plan); });
  alike_ = setting.drawn != Drawn::all && are_alike;
  const std::size_t drawn =
      setting.drawn == Drawn::slowest_of_alike ? 2 * static_cast<std::size_t>(spec.pipeline) : ranks.size();
  if (gpus.size() < drawn) throw std::logic_error("a run on more GPUs than the machine has");
  if (setting.drawn == Drawn::slowest_of_alike && !are_alike)
    throw std::logic_error("GPUs that do not do alike stand for each other");
  for (const RankPlan& plan : ranks) {
    members_.push_back(std::make_unique<Member>(plan, setting.whole, topology, place_of(plan.rank, gpus),
                                                estimates, executor, program_));
    members_.back()->here = keys_here(plan.rank, setting.whole);
    members_.back()->planner.share_heads(spec.tensor);
    if (spec.data > 1) members_.back()->planner.have(spec.routes() ? TokensHere::routed : TokensHere::of_all);
  }
  if (!spec.spreads_experts() || spec.gpus_a_stage() == 1) return;
  ExpertHomes homes = first_homes(setting.whole, spec);
  spread(homes);
  if (spec.rebalance_every == 0) return;
  const int window = spec.rebalance_window > 0 ? spec.rebalance_window : spec.rebalance_every;
  rebalancer_.emplace(setting.map, std::move(homes),
                      Rebalancing{spec.gpus_a_stage(), spec.redundant, spec.rebalance_every, window});
}

GroupRun::Members GroupRun::stage(int number) const {
  const auto size = static_cast<std::size_t>(spec_.gpus_a_stage());
  return Members(members_).subspan(static_cast<std::size_t>(number) * size, size);
}

void GroupRun::begin(const Pass& pass) {
  PassInfo info = pass.info;
  info.shape = dealt_.shape_of_first(pass.info.shape);
  info.micro_batches = dealt_.shapes_of_first(pass.info.micro_batches);
  tokens_ = info.shape.tokens;
  const bool is_prompt = info.shape.phase == trace::Phase::prefill;
  logit_rows_ = info.shape.logit_rows >= 0 ? info.shape.logit_rows
                : is_prompt                ? info.shape.sequences
                                           : tokens_;
  executor_.begin_pass(info);
  cut(pass, info.micro_batches);
  const trace::Step& step = pass.info.step;
  ids_ = step.experts;
  if (spec_.routes()) dealt_.deal(step);
  deal_rooms();
  const bool moves = rebalancer_ && rebalancer_->is_due();
  if (moves) place_anew();
  OpId begun = no_op;
  for (const std::unique_ptr<Member>& member : members_) {
    const Rank& rank = member->rank;
    const trace::Step seen = member->asks_step ? member->seen.of(step) : step;
    const int first = std::max(pass.first_ordinal, static_cast<int>(rank.first_moe));
    const int to = first - static_cast<int>(rank.first_moe);
    const auto of_stack =
        std::count_if(rank.info.layers.begin(), rank.info.layers.end(),
                      [&](const trace::TraceLayer& layer) { return layer.stack == step.stack; });
    if (spec_.capacity_factor == 0) load_routing(*member, pass, first, to, static_cast<int>(of_stack));
    if (member->predicts) member->predictions.load(seen);
    if (begun == no_op) member->planner.wait_for(ended_);
    member->planner.begin_pass(seen, begun);
    member->planner.cut_pass(std::span(member->parts).first(pass.micro_batches.size()));
    if (begun == no_op) begun = member->planner.last();
  }
  if (moves) move_experts();
  // Every GPU gets what the pass adds to all contexts (ExFlow).
  if (spec_.tokens == TokenExchange::follow && spec_.data > 1)
    meet_in_groups(leading(stage(0)), spec_.gpus_a_stage(), gathered(Exchange::all_gather, tokens_));
  if (rebalancer_) rebalancer_->watch(pass.routing, step.stack);
  for (const std::unique_ptr<Member>& member : members_)
    member->planner.announce_pass(member->routing, member->predicted());
}

Picoseconds GroupRun::run(const Pass& pass) {
  start(pass);
  return end_oldest();
}

Picoseconds GroupRun::end_oldest() {
  ended_ = under_way_.front();
  under_way_.pop_front();
  return executor_.end_pass(ended_);
}

void GroupRun::start(const Pass& pass) {
  begin(pass);
  int ordinal = pass.first_ordinal, layer = 0;
  for (int number = 0; number < spec_.pipeline; ++number) {
    const Members members = stage(number);
    if (number > 0) hand_over(number);
    const Rank& rank = members.front()->rank;
    const int end = spec_.pipeline == 1
                        ? static_cast<int>(pass.layers.size())
                        : rank.first_layer + static_cast<int>(rank.model.stacks.front().layers.size());
    for (; layer < end; ++layer) {
      const PassLayer& described = pass.layers[static_cast<std::size_t>(layer)];
      if (described.moe) {
        moe_layer(members, ordinal++, described.layer_class);
      } else {
        dense_layer(members, layer, described.layer_class);
      }
    }
  }
  const bool has_head = pass.info.step.phase != trace::Phase::encoder;
  const Members last = leading(stage(spec_.pipeline - 1));
  ready_.clear();
  for (const std::unique_ptr<Member>& member : members_) {
    const bool is_last = member->rank.stage == spec_.pipeline - 1;
    const bool leads = !alike_ || member == stage(member->rank.stage).front();
    const OpId done = member->planner.end_pass(has_head && is_last && leads);
    if (is_last && leads) ready_.push_back(done);
  }
  if (has_head && spec_.tensor > 1) {
    meet_in_groups(last, spec_.tensor,
                   {.exchange = Exchange::all_gather,
                    .gpus = static_cast<std::uint16_t>(spec_.tensor),
                    .bytes = setting_.logits * std::int64_t{logit_rows_}});
    ready_.clear();
    for (const std::unique_ptr<Member>& member : last) ready_.push_back(member->planner.last());
  }
  if (ready_.size() > 1) last.front()->planner.meet(ready_, {});
  under_way_.push_back(last.front()->planner.last());
  executor_.run(program_);
  program_.clear();
}

/// From each GPU of the stage before to the one in its place.
void GroupRun::hand_over(int to_stage) {
  const Members from = leading(stage(to_stage - 1)), to = leading(stage(to_stage));
  for (std::size_t i = 0; i < to.size(); ++i) to[i]->planner.wait_for(from[i]->planner.send_to(to[i]->gpu));
}

void GroupRun::dense_layer(Members members, int layer, int layer_class) {
  members = leading(members);
  for (const std::unique_ptr<Member>& member : members) member->planner.dense_layer(layer, layer_class);
  // After its mixer and after its feed-forward.
  sum_parts(members);
  sum_parts(members);
}

void GroupRun::begin_moe_layer(Members members, int ordinal, int own, int layer_class) {
  if (spec_.routes()) take_ids(ordinal);
  if (parts_.size() > 1) return begin_in_micro_batches(members, ordinal, own, layer_class);
  for (const std::unique_ptr<Member>& member : members) member->planner.attend(own, layer_class);
  for (const std::unique_ptr<Member>& member : members) member->planner.combine_attention();
  sum(members, tokens_);
  for (const std::unique_ptr<Member>& member : members) member->planner.gate();
  meet_before_ids(members, ordinal, parts_.front());
  for (const std::unique_ptr<Member>& member : members) member->planner.issue_ids();
  meet_after_ids(members, parts_.front());
}

void GroupRun::moe_layer(Members all, int ordinal, int layer_class) {
  const int own = ordinal - static_cast<int>(all.front()->rank.first_moe);
  const Members members = leading(all);
  begin_moe_layer(members, ordinal, own, layer_class);
  others_.clear();
  if (alike_) compute_others(all, own, layer_class);
  // The host may wait for the ids of each: those of all are on their way.
  for (const std::unique_ptr<Member>& member : members) {
    member->planner.learn_ids();
    member->planner.serve_layer(own, member->routing, member->predicted());
  }
  for (const std::unique_ptr<Member>& member : all)
    routed_[static_cast<std::size_t>(member->rank.number)] += member->routing.routed(own);
  give_back_tokens(members);
  others_.clear();
  for (const std::unique_ptr<Member>& member : members) member->planner.leave_layer();
}

void GroupRun::compute_others(Members all, int ordinal, int layer_class) {
  const OpId ready = all.front()->planner.last();
  Member* slowest = nullptr;
  Picoseconds most;
  for (const std::unique_ptr<Member>& member : all.subspan(1)) {
    member->planner.count_resident(ordinal, member->routing);
    if (!spec_.spreads_experts()) continue;
    if (setting_.drawn != Drawn::slowest_of_alike) {
      member->planner.compute_resident(ordinal, layer_class, member->routing, ready);
      others_.push_back(member->planner.last());
      continue;
    }
    const Picoseconds time = setting_.expert_time(layer_class, member->routing.tokens(ordinal),
                                                  member->routing.routed(ordinal), tokens_ * spec_.data);
    if (slowest != nullptr && time <= most) continue;
    slowest = member.get();
    most = time;
  }
  if (slowest == nullptr) return;
  slowest->planner.compute_resident(ordinal, layer_class, slowest->routing, ready);
  others_.push_back(slowest->planner.last());
}

void GroupRun::finish() {
  executor_.finish();
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const LayerPlanner& planner = members_[i]->planner;
    by_gpu_[i] = planner.decode_counts();
    decode_counts_ += planner.decode_counts();
    other_counts_ += planner.other_counts();
  }
}

}  // namespace pregate::sim
