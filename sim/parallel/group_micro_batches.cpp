// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A pass that is cut into micro-batches, on several GPUs: all of them cut it alike, as they attend to the
// same requests.
#include "sim/parallel/group_run.hpp"

namespace pregate::sim {

void GroupRun::load_routing(Member& member, const Pass& pass, int first, int to, int count) {
  member.routing.load_part(pass.routing, first, to, count, member.here, member.shares);
  for (std::size_t part = 0; part < pass.micro_batches.size(); ++part) {
    if (member.parts.size() == part) member.parts.emplace_back(member.map);
    member.parts[part].load_part(pass.micro_batches[part], first, to, count, member.here, member.shares);
  }
}

/// As LayerPlanner::begin_moe_layer() does on one GPU. What a part's attention computed is summed before its
/// gate.
void GroupRun::begin_in_micro_batches(Members members, int own, int layer_class) {
  const std::size_t parts = tokens_of_part_.size();
  const auto attend = [&](std::size_t part) {
    for (const std::unique_ptr<Member>& member : members) member->planner.attend_part(part, own, layer_class);
  };
  const auto choose = [&](std::size_t part) {
    for (const std::unique_ptr<Member>& member : members) member->planner.combine_part(part);
    sum(members, tokens_of_part_[part]);
    for (const std::unique_ptr<Member>& member : members) member->planner.choose_experts_of_part(part);
  };
  const bool all_first = members.front()->planner.all_attend_first(layer_class);
  for (std::size_t part = 0; part < parts; ++part) {
    attend(part);
    if (!all_first) choose(part);
  }
  for (std::size_t part = 0; all_first && part < parts; ++part) choose(part);
  for (const std::unique_ptr<Member>& member : members) member->planner.know_parts();
}

}  // namespace pregate::sim
