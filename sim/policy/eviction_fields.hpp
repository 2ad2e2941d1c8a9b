// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <any>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "models/fields/fields.hpp"
#include "models/table_reader.hpp"
#include "sim/cache/eviction.hpp"

namespace pregate {

/// A seed means something with these.
inline Condition with_evictions_that_draw() {
  Condition condition{"eviction", {}, ""};
  for (const cache::EvictionEntry& entry : cache::eviction_registry().entries()) {
    if (entry.draws) condition.values.push_back(entry.name);
  }
  return condition;
}

namespace eviction_fields {

/// Null: the eviction `name` has no such parameter, or there is none of that name.
inline const sim::PartParameters::Entry* find(const std::string& name, const std::string& parameter) {
  for (const cache::EvictionEntry& entry : cache::eviction_registry().entries()) {
    if (entry.name == name) return entry.parameters.find(parameter);
  }
  return nullptr;
}
inline bool any(const cache::EvictionEntry&) { return true; }

}  // namespace eviction_fields

/// The parameters of all evictions that `may` be chosen, each of which has a meaning only with the one that
/// has it. `Spec` is a cache: its members `eviction` and `eviction_parameters`. To be added after the former,
/// as they are read in this order.
template <class Spec, class May = bool (*)(const cache::EvictionEntry&)>
void add_eviction_parameters(Fields<Spec>& fields, const May& may = &eviction_fields::any) {
  for (const cache::EvictionEntry& entry : cache::eviction_registry().entries()) {
    if (!may(entry)) continue;
    for (const sim::PartParameters::Entry& parameter : entry.parameters.entries()) {
      const std::string key(parameter.field.name()), eviction = entry.name;
      const std::any defaults = entry.parameters.defaults();
      // Those of another eviction, chosen before, are not this one's.
      const auto own = [defaults](const std::any& given) -> const std::any& {
        return given.type() == defaults.type() ? given : defaults;
      };
      Field& field = fields.add_entry(
          {parameter.field,
           [own, key, eviction, value = parameter.value](const Spec& spec) {
             return spec.eviction == eviction ? value(own(spec.eviction_parameters)) : Node{};
           },
           [own, key, eviction, read = parameter.read](Spec& spec, TableReader& table, const Field& its) {
             if (spec.eviction != eviction) {
               throw InputError(table.where(its.name()),
                                its.key + " means nothing with this " + its.condition->key,
                                "remove it, or set " + its.condition->key + " to " + eviction);
             }
             spec.eviction_parameters = std::any(own(spec.eviction_parameters));
             read(spec.eviction_parameters, table, its);
           }});
      field.fallback = parameter.value(defaults);
      field.only_with({"eviction", {eviction}, ""});
    }
  }
}

}  // namespace pregate
