// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "models/fields/fields.hpp"
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

/// The parameters of all parts of the registry, each of which has a meaning only with the parts that have it.
/// To be added after the kind, as they are read in this order.
template <class Spec, class Entry>
void add_part_parameters(Fields<Spec>& fields, const std::string& kind, sim::Chosen<Entry> Spec::*part,
                         const sim::PartRegistry<Entry>& registry) {
  std::vector<std::string> added;
  for (const Entry& entry : registry.entries()) {
    for (const auto& parameter : entry.parameters.entries()) {
      const std::string key(parameter.field.name());
      if (std::find(added.begin(), added.end(), key) != added.end()) continue;
      added.push_back(key);
      std::vector<std::string> with;
      for (const Entry& other : registry.entries()) {
        if (other.parameters.find(key) != nullptr) with.push_back(other.name);
      }
      Field& field = fields.add_entry(
          {parameter.field,
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
             own->read((spec.*part).parameters(), table, own->field);
           }});
      field.fallback = parameter.value(entry.parameters.defaults());
      for (const Entry& other : registry.entries()) {
        const auto* const same = other.parameters.find(key);
        if (same == nullptr) continue;
        const std::string own = shown_value(field, same->value(other.parameters.defaults()));
        if (own != shown_value(field, field.fallback)) field.help += "; " + own + " of " + other.name;
      }
      if (field.need == Need::always) field.need = Need::with_condition;
      field.only_with({kind, with, ""});
    }
  }
}

}  // namespace pregate
