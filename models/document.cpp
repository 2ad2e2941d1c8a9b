// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/document.hpp"

#include <algorithm>
#include <utility>

#include "models/error.hpp"

namespace pregate {

const Node* Node::find(std::string_view key) const {
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.key == key; });
  return found == members.end() ? nullptr : &found->value;
}

Node* Node::find(std::string_view key) {
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.key == key; });
  return found == members.end() ? nullptr : &found->value;
}

void merge(Node& base, const Node& over) {
  if (base.kind != Node::Kind::table || over.kind != Node::Kind::table) {
    base = over;
    return;
  }
  for (const auto& [key, value] : over.members) {
    if (Node* existing = base.find(key)) {
      merge(*existing, value);
    } else {
      base.members.push_back({key, value});
    }
  }
}

void set_value(Node& root, std::string_view path, std::string_view value, const std::string& where) {
  Node* node = &root;
  std::string_view rest = path;
  for (int depth = 0;; ++depth) {
    const std::size_t dot = rest.find('.');
    const std::string key(rest.substr(0, dot));
    if (key.empty() || depth >= 16) {
      throw InputError(where, "'" + printable(path) + "' is not a path of keys",
                       "e.g. machine.link.h2d.bandwidth");
    }
    if (node->kind != Node::Kind::table) {
      throw InputError(where, "'" + printable(key) + "' is looked for in a value that has no keys");
    }
    Node* child = node->find(key);
    if (child == nullptr) {
      Node table;
      table.kind = Node::Kind::table;
      table.where = where;
      node->members.push_back({key, std::move(table)});
      child = &node->members.back().value;
    }
    if (dot == std::string_view::npos) {
      *child = Node{};
      child->kind = Node::Kind::text;
      child->text = value;
      child->from_option = true;
      child->where = where;
      return;
    }
    node = child;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace pregate
