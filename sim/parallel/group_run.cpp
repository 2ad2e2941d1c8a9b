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

PlaceId GroupRun::place_of(const Rank& rank, const std::vector<PlaceId>& gpus) const {
  if (setting_.drawn != Drawn::slowest_of_alike) return gpus[static_cast<std::size_t>(rank.number)];
  const bool leads = rank.group == 0 && rank.part == 0;
  return gpus[static_cast<std::size_t>(2 * rank.stage + (leads ? 0 : 1))];
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
  const bool are_alike = std::none_of(ranks.begin(), ranks.end(), [](const RankPlan& rank) {
    return rank.plan.offloads() || rank.plan.policy.lookahead.predictor->predicts();
  });
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
  }
  if (!spec.spreads_experts() || spec.gpus_a_stage() == 1) return;
  ExpertHomes homes = first_homes(setting.whole, spec);
  spread(homes);
  if (spec.rebalance_every == 0) return;
  const int window = spec.rebalance_window > 0 ? spec.rebalance_window : spec.rebalance_every;
  rebalancer_.emplace(setting.map, std::move(homes),
                      Rebalancing{spec.gpus_a_stage(), spec.redundant, spec.rebalance_every, window});
}

/// Who computes which expert's tokens, until the experts are placed anew.
void GroupRun::spread(const ExpertHomes& homes) {
  auto copy = homes.copies.begin();
  for (std::size_t i = 0; i < owners_.size(); ++i) {
    const MoeLayer& layer = setting_.map.layers()[i];
    ExpertOwners owners(static_cast<std::size_t>(layer.experts));
    for (std::size_t expert = 0; expert < owners.experts(); ++expert) {
      const ExpertKey key = layer.first_key + static_cast<ExpertKey>(expert);
      owners.add(expert, homes.of_key[key]);
      for (; copy != homes.copies.end() && copy->key <= key; ++copy) owners.add(expert, copy->gpu);
    }
    owners_[i] = std::move(owners);
  }
  if (!spec_.has_copies() && spec_.rebalance_every == 0) return;  // as the ranks have them
  for (const std::unique_ptr<Member>& member : members_) take_homes(*member);
}

void GroupRun::take_homes(Member& member) {
  const int own = member.rank.group * spec_.tensor + member.rank.part;
  member.shares.assign(setting_.map.keys(), {});
  ExpertKey next = 0;
  for (std::size_t i = 0; i < member.rank.info.layers.size(); ++i) {
    const std::size_t ordinal = member.rank.first_moe + i;
    const ExpertKey first = setting_.map.layers()[ordinal].first_key;
    ExpertKey end = next + static_cast<ExpertKey>(member.rank.info.layers[i].experts);
    for (std::size_t expert = 0; expert < owners_[ordinal].experts(); ++expert) {
      const std::span<const std::uint8_t> owners = owners_[ordinal][expert];
      ReplicaShare& share = member.shares[first + expert];
      share = {0, static_cast<std::uint32_t>(owners.size())};
      for (std::size_t turn = 0; turn < owners.size(); ++turn) {
        if (owners[turn] == own) share.turns |= std::uint64_t{1} << turn;
      }
      member.here[first + expert] = share.turns == 0 ? StepRouting::no_key : next;
      next += static_cast<ExpertKey>(std::popcount(share.turns));
    }
    if (next != end) throw std::logic_error("a GPU got another number of experts than it has room for");
  }
}

void GroupRun::place_anew() {
  arrived_ = rebalancer_->rebalance();
  totals_.rebalancings = rebalancer_->rebalancings();
  spread(rebalancer_->homes());
}

/// Weights go from where an expert was to where it comes, before the pass, stage by stage.
void GroupRun::move_experts() {
  for (int number = 0; number < spec_.pipeline; ++number) {
    const Rank& rank = stage(number).front()->rank;
    ExchangeTotals moved(spec_.gpus_a_stage(), setting_.gpus_a_host);
    std::int64_t copies = 0;
    for (const ExpertArrival& arrival : arrived_) {
      const auto ordinal = static_cast<std::size_t>(setting_.map.ordinal_of(arrival.key));
      if (ordinal < rank.first_moe || ordinal >= rank.first_moe + rank.info.layers.size()) continue;
      const Bytes bytes = setting_.map.layers()[ordinal].expert_bytes;
      moved.add(arrival.from, arrival.to, bytes);
      totals_.copied += bytes;
      ++copies;
    }
    totals_.copies += copies;
    if (copies > 0) meet(leading(stage(number)), all_to_all(moved));
  }
}

/// Static gating: an expert has room for its even share of what a GPU sends, that many times.
void GroupRun::deal_rooms() {
  if (spec_.capacity_factor == 0) return;
  const int sent = dealt_.most_sent();
  const trace::TraceLayer& layer = setting_.whole.layers.front();
  const StaticGating gating{layer.experts, spec_.capacity_factor * layer.top_k / layer.experts};
  room_ = gating.room(sent);
  for (const std::unique_ptr<Member>& member : members_)
    member->routing.load_every(static_cast<std::uint32_t>(room_ * spec_.gpus_a_stage()));
}

Meeting GroupRun::all_to_all(const ExchangeTotals& exchanged) const {
  Meeting meeting{.exchange = Exchange::all_to_all,
                  .gpus = static_cast<std::uint16_t>(spec_.gpus_a_stage()),
                  .bytes = exchanged.heaviest_gpu()};
  if (spec_.gpus_a_stage() <= setting_.gpus_a_host) return meeting;
  meeting.is_flat = spec_.all_to_all == AllToAllWay::flat;
  if (meeting.is_flat) meeting.bytes = exchanged.heaviest_within();
  meeting.between_hosts = exchanged.heaviest_host();
  return meeting;
}

Meeting GroupRun::even_all_to_all(Bytes sent) const {
  const int gpus = spec_.gpus_a_stage(), here = std::min(gpus, setting_.gpus_a_host);
  Meeting meeting{.exchange = Exchange::all_to_all, .gpus = static_cast<std::uint16_t>(gpus), .bytes = sent};
  if (gpus <= setting_.gpus_a_host) return meeting;
  meeting.is_flat = spec_.all_to_all == AllToAllWay::flat;
  const std::int64_t others = gpus - 1;
  if (meeting.is_flat) meeting.bytes = Bytes{(sent.count * (here - 1) + others - 1) / others};
  meeting.between_hosts = Bytes{(sent.count * here * (gpus - here) + others - 1) / others};
  return meeting;
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
    if (spec_.capacity_factor == 0) {
      member->routing.load_part(pass.routing, first, to, static_cast<int>(of_stack), member->here,
                                member->shares);
    }
    if (member->predicts) member->predictions.load(seen);
    if (begun == no_op) member->planner.wait_for(pass_end_);
    member->planner.begin_pass(seen, begun);
    if (begun == no_op) begun = member->planner.last();
  }
  if (moves) move_experts();
  // Every GPU gets what the pass adds to all contexts (ExFlow).
  if (spec_.tokens == TokenExchange::follow && spec_.data > 1)
    meet_in_groups(leading(stage(0)), spec_.gpus_a_stage(), gathered(Exchange::all_gather));
  if (rebalancer_) rebalancer_->watch(pass.routing, step.stack);
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
    meet_in_groups(last, spec_.tensor,
                   {.exchange = Exchange::all_gather,
                    .gpus = static_cast<std::uint16_t>(spec_.tensor),
                    .bytes = setting_.logits * std::int64_t{logit_rows_}});
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
                                                  member->routing.routed(ordinal), tokens_);
    if (slowest != nullptr && time <= most) continue;
    slowest = member.get();
    most = time;
  }
  if (slowest == nullptr) return;
  slowest->planner.compute_resident(ordinal, layer_class, slowest->routing, ready);
  others_.push_back(slowest->planner.last());
}

/// The gate is read when a GPU knows of all tokens that its experts get. With `route` their numbers go ahead,
/// and copies of missing experts begin beside the tokens'.
void GroupRun::get_tokens(Members members, int ordinal) {
  const auto read_ids = [&] {
    for (const std::unique_ptr<Member>& member : members) member->planner.read_ids();
  };
  if (spec_.data == 1) return read_ids();
  if (spec_.tokens == TokenExchange::gather) {
    meet_in_groups(members, spec_.gpus_a_stage(), gathered(Exchange::all_gather));
    return read_ids();
  }
  const trace::TraceLayer& layer = setting_.whole.layers[static_cast<std::size_t>(ordinal)];
  const auto width = static_cast<std::size_t>(layer.top_k);
  const std::size_t entries = std::min(ids_.size(), dealt_.tokens() * width);
  const std::span<const std::uint16_t> ids = ids_.first(entries);
  ids_ = ids_.subspan(entries);
  const ExpertOwners& owners = owners_[static_cast<std::size_t>(ordinal)];
  if (spec_.capacity_factor > 0) {
    routed_bytes_ = all_to_all(dealt_.padded(owners, room_, setting_.token));
    totals_.dropped += dealt_.dropped(ids, layer.experts, room_);
    totals_.routed += static_cast<std::int64_t>(entries);
    totals_.rows += room_ * layer.experts * spec_.gpus_a_stage();
  } else {
    const bool follows = spec_.tokens == TokenExchange::follow;
    routed_bytes_ = all_to_all(follows ? dealt_.followed(ids, layer.top_k, owners, setting_.token)
                                       : dealt_.exchanged(ids, layer.top_k, owners, setting_.token));
    constexpr std::int64_t count_bytes = 4;  // of each expert
    meet(members, even_all_to_all(Bytes{count_bytes * layer.experts}));
  }
  read_ids();
  meet(members, routed_bytes_);
  if (spec_.tokens == TokenExchange::follow) routed_bytes_ = all_to_all(dealt_.returned());
}

Meeting GroupRun::gathered(Exchange exchange) const {
  return {.exchange = exchange,
          .gpus = static_cast<std::uint16_t>(spec_.data),
          .lanes = static_cast<std::uint16_t>(spec_.tensor),
          .bytes = activations(tokens_ * spec_.data)};
}

void GroupRun::give_back_tokens(Members members) {
  if (spec_.data > 1) {
    if (spec_.routes()) return meet(members, routed_bytes_);
    meet(members, gathered(Exchange::reduce_scatter));
  }
  sum_parts(members);
}

void GroupRun::sum_parts(Members members) {
  if (spec_.tensor == 1) return;
  meet_in_groups(members, spec_.tensor,
                 {.exchange = Exchange::all_reduce,
                  .gpus = static_cast<std::uint16_t>(spec_.tensor),
                  .bytes = activations(tokens_)});
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
