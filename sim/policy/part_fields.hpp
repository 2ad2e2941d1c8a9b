// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <any>
#include <string>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "models/fields/fields.hpp"
#include "models/fields/read_fields.hpp"
#include "models/table_reader.hpp"
#include "sim/parts/part.hpp"

namespace pregate {

/// The key `kind`, which chooses a part of the registry for the member `part` of a table of a policy.
template <class Spec, class Entry>
Field& add_part(Fields<Spec>& fields, const std::string& kind, sim::Chosen<Entry> Spec::*part,
                const sim::PartRegistry<Entry>& registry, std::string help) {
  Field field;
  field.key = field.shown = field.json = kind;
  field.help = std::move(help);
  field.quantity = Quantity::choice;
  field.names = registry.names();
  return fields.add_entry({std::move(field), [part](const Spec& spec) { return node_of((spec.*part)->name); },
                           [part, &registry](Spec& spec, TableReader& table, const Field& its) {
                             spec.*part = registry.find(table.text(its.name()), table.where(its.name()));
                           }});
}

/// Whether both believe the same values.
inline bool have_one_range(const Field& a, const Field& b) {
  if (!a.range || !b.range) return !a.range && !b.range;
  return a.range->least == b.range->least && a.range->most == b.range->most && a.zero == b.zero;
}

/// Reads what the chosen part has of that name. It is held to that part's own range, which is another's
/// where they have the name in common.
inline void read_part_parameter(const sim::PartParameters::Entry& own, std::any& parameters,
                                TableReader& table) {
  own.read(parameters, table, own.field);
  if (!is_in_range(own.field, own.value(parameters))) refuse_value(table, own.field);
}

/// Calls add(key, field, with) for each name that parameters of these parts have, in their order: one field
/// of all that share the name, and which parts those are. What differs between them, the field does not say.
template <class Entry, class Add>
void each_part_parameter(const std::vector<const Entry*>& entries, const Add& add) {
  std::vector<std::string> added;
  for (const Entry* const entry : entries) {
    for (const auto& parameter : entry->parameters.entries()) {
      const std::string key(parameter.field.name());
      if (std::find(added.begin(), added.end(), key) != added.end()) continue;
      added.push_back(key);
      Field field = parameter.field;
      field.fallback = parameter.value(entry->parameters.defaults());
      std::vector<std::string> with;
      for (const Entry* const other : entries) {
        const auto* const same = other->parameters.find(key);
        if (same == nullptr) continue;
        with.push_back(other->name);
        const std::string own = shown_value(field, same->value(other->parameters.defaults()));
        if (own != shown_value(field, field.fallback)) field.help += "; " + own + " of " + other->name;
        if (!have_one_range(field, same->field)) field.range.reset();
      }
      add(key, std::move(field), with);
    }
  }
}

/// The parameters of all parts of the registry, each of which has a meaning only with the parts that have it.
/// To be added after the kind, as they are read in this order.
template <class Spec, class Entry>
void add_part_parameters(Fields<Spec>& fields, const std::string& kind, sim::Chosen<Entry> Spec::*part,
                         const sim::PartRegistry<Entry>& registry) {
  std::vector<const Entry*> entries;
  for (const Entry& entry : registry.entries()) entries.push_back(&entry);
  each_part_parameter(entries, [&](const std::string& key, Field field,
                                   const std::vector<std::string>& with) {
    if (field.need == Need::always) field.need = Need::with_condition;
    fields.add_entry({field.only_with({kind, with, ""}),
                      [part, key](const Spec& spec) {
                        const auto* const own = (spec.*part)->parameters.find(key);
                        return own == nullptr ? Node{} : own->value((spec.*part).parameters());
                      },
                      [part, key, with](Spec& spec, TableReader& table, const Field& its) {
                        const auto* const own = (spec.*part)->parameters.find(key);
                        if (own == nullptr) {
                          throw InputError(table.where(its.name()),
                                           its.key + " means nothing with this " + its.condition->key,
                                           "remove it, or set " + its.condition->key + " to " + with.front());
                        }
                        read_part_parameter(*own, (spec.*part).parameters(), table);
                      }});
  });
}

}  // namespace pregate
