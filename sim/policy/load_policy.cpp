// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/policy/load_policy.hpp"

#include <algorithm>

#include "models/fields/read_fields.hpp"
#include "sim/policy/policy_choices.hpp"
#include "sim/policy/policy_fields.hpp"

namespace pregate {

namespace {

PolicySpec read_policy(const PolicyDocument& document, const sim::Parts& parts) {
  PolicySpec policy;
  policy.name = document.name;
  // It is a setting of the run, which only has a default here.
  Node root = document.root;
  const auto own = std::find_if(root.members.begin(), root.members.end(),
                                [](const Member& each) { return each.key == "parallel"; });
  if (own != root.members.end()) {
    policy.parallel = std::move(own->value);
    root.members.erase(own);
  }
  TableReader top(root, "");
  read_fields(policy_fields(parts), policy, top);
  top.finish();
  validate(policy, document.root.where);
  return policy;
}

bool keeps_all_on_gpu(const Node& policy, const sim::Parts& parts) {
  const Node* placement = policy.find("placement");
  if (placement == nullptr || placement->kind != Node::Kind::table) return false;
  const Node* kind = placement->find("kind");
  if (kind == nullptr || kind->kind != Node::Kind::text) return false;
  const auto& all = parts.placements.entries();
  return std::any_of(all.begin(), all.end(), [kind](const sim::PlacementEntry& each) {
    return each.keeps_all && each.name == kind->text;
  });
}

}  // namespace

PolicySpec load_policy(const std::string& name_or_path, std::span<const Override> overrides,
                       std::span<const Override> of_offloading, const sim::Parts& parts) {
  PolicyDocument document = policy_document(name_or_path, overrides);
  if (!keeps_all_on_gpu(document.root, parts)) apply_to_policy(document.root, of_offloading);
  return read_policy(document, parts);
}

PolicySpec parse_policy_toml(std::string_view text, const std::string& where,
                             std::span<const Override> overrides, const sim::Parts& parts) {
  return read_policy(policy_document_of(text, where, overrides), parts);
}

}  // namespace pregate
