// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "models/fields/fields.hpp"
#include "models/model.hpp"

namespace pregate::sim {

nlohmann::ordered_json json_of(const Node& value);

/// Puts `value` at the dotted `path`, creating objects on the way.
void put(nlohmann::ordered_json& json, std::string_view path, nlohmann::ordered_json value);

/// Every field that has a value, as the tables of the file, units in the names.
template <typename Spec>
void add_fields(nlohmann::ordered_json& json, const Fields<Spec>& fields, const Spec& spec) {
  for (const auto& entry : fields.entries()) {
    const Node value = entry.value(spec);
    if (value.kind != Node::Kind::null) put(json, entry.field.json, json_of(value));
  }
}

/// Those that are not what the struct starts with.
template <typename Spec>
void add_set_fields(nlohmann::ordered_json& json, const Fields<Spec>& fields, const Spec& spec) {
  for (const auto& entry : fields.entries()) {
    const Node value = entry.value(spec);
    if (written(entry.field, value) != written(entry.field, entry.field.fallback))
      put(json, entry.field.json, json_of(value));
  }
}

/// The model as it is simulated: counts and sizes, its shape, and its layers in runs of alike ones.
nlohmann::ordered_json model_config_json(const ModelSpec& model);

}  // namespace pregate::sim
