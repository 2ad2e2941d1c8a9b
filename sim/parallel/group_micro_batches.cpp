// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A pass that is cut into micro-batches, on several GPUs: all of them cut it alike. Those that attend to
// requests of their own have as many parts of them, and each part exchanges its tokens.
#include "sim/parallel/group_run.hpp"

namespace pregate::sim {

void GroupRun::cut(const Pass& pass, std::span<const StepShape> of_first) {
  parts_.clear();
  if (of_first.empty()) {
    parts_.push_back({.tokens = tokens_, .all_tokens = static_cast<std::size_t>(pass.info.step.tokens)});
    return;
  }
  std::size_t first = 0;
  for (std::size_t part = 0; part < of_first.size(); ++part) {
    const auto tokens = static_cast<std::size_t>(pass.info.micro_batches[part].tokens);
    parts_.push_back({.tokens = of_first[part].tokens, .first = first, .all_tokens = tokens});
    first += tokens;
  }
}

void GroupRun::load_routing(Member& member, const Pass& pass, int first, int to, int count) {
  member.routing.load_part(pass.routing, first, to, count, member.here, member.shares);
  for (std::size_t part = 0; part < pass.micro_batches.size(); ++part) {
    if (member.parts.size() == part) member.parts.emplace_back(member.map);
    member.parts[part].load_part(pass.micro_batches[part], first, to, count, member.here, member.shares);
  }
}

/// As LayerPlanner::begin_moe_layer() does on one GPU. What a part's attention computed is summed before its
/// gate.
void GroupRun::begin_in_micro_batches(Members members, int ordinal, int own, int layer_class) {
  const std::size_t parts = parts_.size();
  const auto attend = [&](std::size_t part) {
    for (const std::unique_ptr<Member>& member : members) member->planner.attend_part(part, own, layer_class);
  };
  const auto choose = [&](std::size_t part) {
    for (const std::unique_ptr<Member>& member : members) member->planner.combine_part(part);
    sum(members, parts_[part].tokens);
    for (const std::unique_ptr<Member>& member : members) member->planner.gate_of_part(part);
    meet_before_ids(members, ordinal, parts_[part]);
    for (const std::unique_ptr<Member>& member : members) member->planner.issue_ids_of_part(part);
    meet_after_ids(members, parts_[part]);
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
