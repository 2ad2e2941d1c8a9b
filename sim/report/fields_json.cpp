// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/fields_json.hpp"

#include <utility>

namespace pregate::sim {

using Json = nlohmann::ordered_json;

Json json_of(const Node& value) {
  switch (value.kind) {
    case Node::Kind::text:
      return value.text;
    case Node::Kind::integer:
      return value.integer;
    case Node::Kind::real:
      return value.real;
    case Node::Kind::boolean:
      return value.boolean;
    case Node::Kind::array: {
      Json array = Json::array();
      for (const Node& item : value.items) array.push_back(json_of(item));
      return array;
    }
    case Node::Kind::table: {
      Json object = Json::object();
      for (const Member& member : value.members) object[member.key] = json_of(member.value);
      return object;
    }
    default:
      return nullptr;
  }
}

void put(Json& json, std::string_view path, Json value) {
  Json* table = &json;
  for (std::size_t dot = 0; (dot = path.find('.')) != std::string_view::npos; path.remove_prefix(dot + 1))
    table = &(*table)[std::string(path.substr(0, dot))];
  (*table)[std::string(path)] = std::move(value);
}

}  // namespace pregate::sim
