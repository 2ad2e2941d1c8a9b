// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the GPUs of a group give each other, and where they wait for all.
#include <algorithm>

#include "sim/parallel/group_run.hpp"

namespace pregate::sim {

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

void GroupRun::take_ids(int ordinal) {
  const trace::TraceLayer& layer = setting_.whole.layers[static_cast<std::size_t>(ordinal)];
  const std::size_t entries = std::min(ids_.size(), dealt_.tokens() * static_cast<std::size_t>(layer.top_k));
  ids_of_layer_ = ids_.first(entries);
  ids_ = ids_.subspan(entries);
}

/// The gate is read when a GPU knows of all tokens that its experts get. With `route` their numbers go ahead,
/// and copies of missing experts begin beside the tokens'.
void GroupRun::meet_before_ids(Members members, int ordinal, Part& part) {
  if (spec_.data == 1) return;
  if (spec_.tokens == TokenExchange::gather)
    return meet_in_groups(members, spec_.gpus_a_stage(), gathered(Exchange::all_gather, part.tokens));
  const trace::TraceLayer& layer = setting_.whole.layers[static_cast<std::size_t>(ordinal)];
  const ExpertOwners& owners = owners_[static_cast<std::size_t>(ordinal)];
  const auto width = static_cast<std::size_t>(layer.top_k);
  const std::size_t begin = std::min(ids_of_layer_.size(), part.first * width);
  const auto ids =
      ids_of_layer_.subspan(begin, std::min(ids_of_layer_.size() - begin, part.all_tokens * width));
  if (spec_.capacity_factor > 0) {
    part.routed = all_to_all(dealt_.padded(owners, room_, setting_.token));
    totals_.dropped += dealt_.dropped(ids, layer.experts, room_);
    totals_.routed += static_cast<std::int64_t>(ids.size());
    totals_.rows += room_ * layer.experts * spec_.gpus_a_stage();
    return;
  }
  const bool follows = spec_.tokens == TokenExchange::follow;
  part.routed = all_to_all(follows ? dealt_.followed(ids, layer.top_k, owners, setting_.token, part.first)
                                   : dealt_.exchanged(ids, layer.top_k, owners, setting_.token, part.first));
  constexpr std::int64_t count_bytes = 4;  // of each expert
  meet(members, even_all_to_all(Bytes{count_bytes * layer.experts}));
}

void GroupRun::meet_after_ids(Members members, Part& part) {
  if (!spec_.routes()) return;
  meet(members, part.routed);
  if (spec_.tokens == TokenExchange::follow) part.routed = all_to_all(dealt_.returned());
}

Meeting GroupRun::gathered(Exchange exchange, int tokens) const {
  return {.exchange = exchange,
          .gpus = static_cast<std::uint16_t>(spec_.data),
          .lanes = static_cast<std::uint16_t>(spec_.tensor),
          .bytes = activations(std::int64_t{tokens} * spec_.data)};
}

/// Of routed tokens each GPU of a group sent its part, and gets it back; all of them go on with all tokens
/// (DeepSpeed-MoE: an all-gather between the GPUs that share attention follows the all-to-all).
void GroupRun::give_back_tokens(Members members) {
  for (const Part& part : parts_) {
    if (spec_.routes()) {
      meet(members, part.routed);
      if (spec_.tensor == 1) continue;
      meet_in_groups(members, spec_.tensor,
                     {.exchange = Exchange::all_gather,
                      .gpus = static_cast<std::uint16_t>(spec_.tensor),
                      .bytes = activations(part.tokens)});
      continue;
    }
    if (spec_.data > 1) meet(members, gathered(Exchange::reduce_scatter, part.tokens));
    sum(members, part.tokens);
  }
}

void GroupRun::sum_parts(Members members) {
  for (const Part& part : parts_) sum(members, part.tokens);
}

void GroupRun::sum(Members members, int tokens) {
  if (spec_.tensor == 1) return;
  meet_in_groups(members, spec_.tensor,
                 {.exchange = Exchange::all_reduce,
                  .gpus = static_cast<std::uint16_t>(spec_.tensor),
                  .bytes = activations(tokens)});
}

void GroupRun::meet(Members members, const Meeting& meeting) {
  meet_in_groups(members, static_cast<int>(members.size()), meeting);
}

/// Nobody begins before all are there. Of many GPUs the first finds that out for all, in no time: else each
/// would be told of each.
void GroupRun::meet_in_groups(Members members, int size, const Meeting& meeting) {
  const std::size_t count = std::min(static_cast<std::size_t>(size), members.size());
  for (std::size_t first = 0; first < members.size(); first += count) {
    const Members group = members.subspan(first, count);
    std::vector<OpId>& ready = meeting_;
    ready = others_;
    for (const std::unique_ptr<Member>& member : group) ready.push_back(member->planner.last());
    if (group.size() > most_gpus_a_host) {
      group.front()->planner.meet(ready, {});
      ready.assign(1, group.front()->planner.last());
    }
    for (const std::unique_ptr<Member>& member : group) member->planner.meet(ready, meeting);
  }
}

}  // namespace pregate::sim
