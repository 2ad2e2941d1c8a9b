// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <string>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "models/fields/fields.hpp"
#include "models/table_reader.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/policy/part_fields.hpp"

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

inline bool any(const cache::EvictionEntry&) { return true; }

/// The eviction `name` and its parameter; null where there is no such eviction, or it has none of that name.
struct Found {
  const cache::EvictionEntry* eviction = nullptr;
  const sim::PartParameters::Entry* parameter = nullptr;

  /// Those that were given, or where they are another eviction's, chosen before, its own defaults.
  [[nodiscard]] const std::any& of(const std::any& given) const {
    const std::any& defaults = eviction->parameters.defaults();
    return given.type() == defaults.type() ? given : defaults;
  }
};

inline Found find(const std::string& name, const std::string& parameter) {
  for (const cache::EvictionEntry& entry : cache::eviction_registry().entries()) {
    if (entry.name == name) return {&entry, entry.parameters.find(parameter)};
  }
  return {};
}

}  // namespace eviction_fields

/// The parameters of all evictions that `may` be chosen, each of which has a meaning only with those that
/// have it. `Spec` is a cache: its members `eviction` and `eviction_parameters`. To be added after the
/// former, as they are read in this order.
template <class Spec, class May = bool (*)(const cache::EvictionEntry&)>
void add_eviction_parameters(Fields<Spec>& fields, const May& may = &eviction_fields::any) {
  std::vector<const cache::EvictionEntry*> entries;
  for (const cache::EvictionEntry& entry : cache::eviction_registry().entries()) {
    if (may(entry)) entries.push_back(&entry);
  }
  each_part_parameter(entries, [&](const std::string& key, Field field,
                                   const std::vector<std::string>& with) {
    fields.add_entry({field.only_with({"eviction", with, ""}),
                      [key](const Spec& spec) {
                        const auto found = eviction_fields::find(spec.eviction, key);
                        return found.parameter == nullptr
                                   ? Node{}
                                   : found.parameter->value(found.of(spec.eviction_parameters));
                      },
                      [key, with](Spec& spec, TableReader& table, const Field& its) {
                        const auto found = eviction_fields::find(spec.eviction, key);
                        if (found.parameter == nullptr) {
                          throw InputError(table.where(its.name()),
                                           its.key + " means nothing with this " + its.condition->key,
                                           "remove it, or set " + its.condition->key + " to " + with.front());
                        }
                        spec.eviction_parameters = std::any(found.of(spec.eviction_parameters));
                        read_part_parameter(*found.parameter, spec.eviction_parameters, table);
                      }});
  });
}

}  // namespace pregate
