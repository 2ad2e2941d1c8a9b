// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/pickle.hpp"

#include "models/error.hpp"

namespace pregate::trace {

std::string_view Pickle::text(Value value) const {
  const Node& node = nodes_[value];
  if (node.kind != Kind::text && node.kind != Kind::name) return {};
  return bytes_.substr(static_cast<std::size_t>(node.number), node.side);
}

bool Pickle::find(Value dictionary, std::string_view key, Value& found) const {
  bool is_found = false;
  const std::vector<Value>& entries = items(dictionary);
  for (std::size_t i = 0; i + 1 < entries.size(); i += 2) {
    if (kind(entries[i]) != Kind::text || text(entries[i]) != key) continue;
    if (is_found) throw InputError(where_, "its pickle has the key '" + printable(key) + "' twice");
    found = entries[i + 1];
    is_found = true;
  }
  return is_found;
}

std::string Pickle::describe(Value value) const {
  switch (kind(value)) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return integer(value) != 0 ? "True" : "False";
    case Kind::integer:
      return "the number " + std::to_string(integer(value));
    case Kind::real:
      return "a fraction";
    case Kind::text:
      return "the text '" + printable(text(value)) + "'";
    case Kind::list:
      return "a list of " + std::to_string(items(value).size());
    case Kind::tuple:
      return "a tuple of " + std::to_string(items(value).size());
    case Kind::dictionary:
      return "a dictionary";
    case Kind::name:
      return "the name " + printable(text(value));
    case Kind::storage:
      return "a storage";
    case Kind::tensor:
      return "a tensor";
  }
  return "nothing";
}

}  // namespace pregate::trace
