// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_run.hpp"

#include <algorithm>
#include <stdexcept>

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

GroupRun::GroupRun(const Topology& topology, const ParallelSpec& spec, const trace::TraceInfo& whole,
                   std::span<const RankPlan> ranks, const WorkShape& shape, Bytes token, Bytes logits,
                   const Estimates* estimates, Executor& executor, Drawn drawn)
    : spec_(spec),
      executor_(executor),
      program_(begun_by_an_operation(shape)),
      token_(token),
      logits_(logits),
      whole_(whole),
      dealt_(spec),
      owners_(whole.layers.size()),
      by_gpu_(ranks.size()),
      routed_(ranks.size()) {
  const std::vector<PlaceId> gpus = gpus_of(topology);
  if (gpus.size() < ranks.size()) throw std::logic_error("a run on more GPUs than the machine has");
  alike_ = drawn == Drawn::one_of_alike && std::none_of(ranks.begin(), ranks.end(), [](const RankPlan& rank) {
             return rank.plan.offloads() || rank.plan.policy.lookahead.predictor->predicts();
           });
  for (const RankPlan& plan : ranks) {
    members_.push_back(std::make_unique<Member>(plan, whole, topology,
                                                gpus[static_cast<std::size_t>(plan.rank.number)], estimates,
                                                executor, program_));
    members_.back()->here = keys_here(plan.rank, whole);
    const int own = plan.rank.group * spec.tensor + plan.rank.part;
    for (std::size_t layer = 0; layer < plan.rank.here.size(); ++layer) {
      std::vector<std::uint8_t>& owners = owners_[plan.rank.first_moe + layer];
      owners.resize(plan.rank.here[layer].size());
      for (std::size_t expert = 0; expert < owners.size(); ++expert) {
        if (plan.rank.here[layer][expert] != trace::no_expert)
          owners[expert] = static_cast<std::uint8_t>(own);
      }
    }
  }
}

GroupRun::Members GroupRun::stage(int number) const {
  const auto size = static_cast<std::size_t>(spec_.gpus_a_stage());
  return Members(members_).subspan(static_cast<std::size_t>(number) * size, size);
}

void GroupRun::begin(const Pass& pass) {
  PassInfo info = pass.info;
  info.shape = dealt_.shape_of_first(pass.info.shape);
  tokens_ = info.shape.tokens;
  const bool is_prompt = info.shape.phase == trace::Phase::prefill;
  logit_rows_ = info.shape.logit_rows >= 0 ? info.shape.logit_rows
                : is_prompt                ? info.shape.sequences
                                           : tokens_;
  executor_.begin_pass(info);
  const trace::Step& step = pass.info.step;
  ids_ = step.experts;
  if (spec_.data > 1 && spec_.tokens == TokenExchange::route) dealt_.deal(step);
  OpId begun = no_op;
  for (const std::unique_ptr<Member>& member : members_) {
    const Rank& rank = member->rank;
    const trace::Step seen = member->asks_step ? member->seen.of(step) : step;
    const int first = std::max(pass.first_ordinal, static_cast<int>(rank.first_moe));
    const int to = first - static_cast<int>(rank.first_moe);
    const auto of_stack =
        std::count_if(rank.info.layers.begin(), rank.info.layers.end(),
                      [&](const trace::TraceLayer& layer) { return layer.stack == step.stack; });
    member->routing.load_part(pass.routing, first, to, static_cast<int>(of_stack), member->here);
    if (member->predicts) member->predictions.load(seen);
    if (begun == no_op) member->planner.wait_for(pass_end_);
    member->planner.begin_pass(seen, begun);
    if (begun == no_op) begun = member->planner.last();
  }
  for (const std::unique_ptr<Member>& member : members_)
    member->planner.announce_pass(member->routing, member->predicted());
}

Picoseconds GroupRun::run(const Pass& pass) {
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
    meet_in_groups(
        last, spec_.tensor,
        {Exchange::all_gather, static_cast<std::uint8_t>(spec_.tensor), logits_ * std::int64_t{logit_rows_}});
    ready_.clear();
    for (const std::unique_ptr<Member>& member : last) ready_.push_back(member->planner.last());
  }
  if (ready_.size() > 1) last.front()->planner.meet(ready_, {});
  pass_end_ = last.front()->planner.last();
  executor_.run(program_);
  program_.clear();
  return executor_.end_pass(pass_end_);
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

void GroupRun::moe_layer(Members all, int ordinal, int layer_class) {
  const int own = ordinal - static_cast<int>(all.front()->rank.first_moe);
  const Members members = leading(all);
  for (const std::unique_ptr<Member>& member : members) member->planner.attend(own, layer_class);
  sum_parts(members);
  for (const std::unique_ptr<Member>& member : members) member->planner.gate();
  get_tokens(members, ordinal);
  others_.clear();
  if (alike_) compute_others(all, own, layer_class);
  for (const std::unique_ptr<Member>& member : members)
    member->planner.serve_layer(own, member->routing, member->predicted());
  for (const std::unique_ptr<Member>& member : all)
    routed_[static_cast<std::size_t>(member->rank.number)] += member->routing.routed(own);
  give_back_tokens(members);
  others_.clear();
  for (const std::unique_ptr<Member>& member : members) member->planner.leave_layer();
}

void GroupRun::compute_others(Members all, int ordinal, int layer_class) {
  const OpId ready = all.front()->planner.last();
  for (const std::unique_ptr<Member>& member : all.subspan(1)) {
    const bool computes = spec_.spreads_experts();
    member->planner.compute_resident(ordinal, layer_class, member->routing, ready, computes);
    if (computes) others_.push_back(member->planner.last());
  }
}

/// The gate is read when a GPU knows of all tokens that its experts get. With `route` their numbers go ahead,
/// and copies of missing experts begin beside the tokens'.
void GroupRun::get_tokens(Members members, int ordinal) {
  const auto read_ids = [&] {
    for (const std::unique_ptr<Member>& member : members) member->planner.read_ids();
  };
  const auto gpus = static_cast<std::uint8_t>(spec_.gpus_a_stage());
  if (spec_.data == 1) return read_ids();
  const trace::TraceLayer& layer = whole_.layers[static_cast<std::size_t>(ordinal)];
  if (spec_.tokens == TokenExchange::gather) {
    meet_in_groups(
        members, gpus,
        {Exchange::all_gather, static_cast<std::uint8_t>(spec_.data), activations(tokens_ * spec_.data)});
    return read_ids();
  }
  const auto width = static_cast<std::size_t>(layer.top_k);
  const std::size_t entries = std::min(ids_.size(), dealt_.tokens() * width);
  routed_bytes_ = dealt_.most_exchanged(ids_.first(entries), layer.top_k,
                                        owners_[static_cast<std::size_t>(ordinal)], token_);
  ids_ = ids_.subspan(entries);
  constexpr std::int64_t count_bytes = 4;  // of each expert
  meet(members, {Exchange::all_to_all, gpus, Bytes{count_bytes * layer.experts}});
  read_ids();
  meet(members, {Exchange::all_to_all, gpus, routed_bytes_});
}

void GroupRun::give_back_tokens(Members members) {
  if (spec_.data > 1) {
    if (spec_.tokens == TokenExchange::route)
      return meet(members,
                  {Exchange::all_to_all, static_cast<std::uint8_t>(spec_.gpus_a_stage()), routed_bytes_});
    meet(members, {Exchange::reduce_scatter, static_cast<std::uint8_t>(spec_.data),
                   activations(tokens_ * spec_.data)});
  }
  sum_parts(members);
}

void GroupRun::sum_parts(Members members) {
  if (spec_.tensor == 1) return;
  meet_in_groups(members, spec_.tensor,
                 {Exchange::all_reduce, static_cast<std::uint8_t>(spec_.tensor), activations(tokens_)});
}

void GroupRun::meet(Members members, const Meeting& meeting) {
  meet_in_groups(members, static_cast<int>(members.size()), meeting);
}

/// Nobody begins before all are there.
void GroupRun::meet_in_groups(Members members, int size, const Meeting& meeting) {
  const std::size_t count = std::min(static_cast<std::size_t>(size), members.size());
  for (std::size_t first = 0; first < members.size(); first += count) {
    const Members group = members.subspan(first, count);
    std::vector<OpId>& ready = meeting_;
    ready = others_;
    for (const std::unique_ptr<Member>& member : group) ready.push_back(member->planner.last());
    for (const std::unique_ptr<Member>& member : group) member->planner.meet(ready, meeting);
  }
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
