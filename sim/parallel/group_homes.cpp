// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Which GPU of a group has which experts: copies of them, placing them anew, rooms of static gating.
#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>
#include <string>

#include "models/error.hpp"
#include "sim/parallel/group_run.hpp"

namespace pregate::sim {

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
  const std::int64_t rows = room_ * spec_.gpus_a_stage();
  if (rows * layer.experts > std::numeric_limits<std::uint32_t>::max()) {
    throw InputError("parallel.capacity_factor",
                     "a pass of " + std::to_string(sent) + " tokens a GPU would have " +
                         std::to_string(rows) + " rows at each of " + std::to_string(layer.experts) +
                         " experts",
                     "a smaller one: 1 is an expert's even share");
  }
  for (const std::unique_ptr<Member>& member : members_)
    member->routing.load_every(static_cast<std::uint32_t>(rows));
}

}  // namespace pregate::sim
