// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parts/part.hpp"

#include "models/fields/read_fields.hpp"

namespace pregate::sim {

const PartParameters::Entry* PartParameters::find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.field.name() == name) return &entry;
  }
  return nullptr;
}

void set_parameter(const PartDescription& part, std::any& parameters, const std::string& name,
                   const std::string& value, const std::string& where) {
  const PartParameters::Entry* const entry = part.parameters.find(name);
  if (entry == nullptr) throw InputError(where, "'" + part.name + "' has no parameter '" + name + "'");
  Node table;
  table.kind = Node::Kind::table;
  set_value(table, name, value, where);
  TableReader reader(table, "");
  entry->read(parameters, reader, entry->field);
  if (!is_in_range(entry->field, entry->value(parameters))) refuse_value(reader, entry->field);
}

}  // namespace pregate::sim
