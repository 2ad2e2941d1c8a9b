// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "models/fields/field.hpp"
#include "models/fields/member_value.hpp"

namespace pregate {

/// The description of a struct: its fields in the order of files, lists and results, each bound to a member.
/// A struct in a member is described apart and put in as a table.
template <typename Spec>
class Fields {
 public:
  struct Entry {
    Field field;
    /// As results show it: bytes, bytes/s and FLOP/s as they are, times in microseconds, choices by name;
    /// null where there is no value.
    std::function<Node(const Spec&)> value;
    /// Reads the key field.name() of its table, which is there.
    std::function<void(Spec&, TableReader&, const Field&)> read;
  };

  /// A member of one of the types of member_value.hpp, or an enumeration with choices().
  template <typename Value>
  Field& add(const std::string& key, Value Spec::*member, std::string help, std::optional<Range> range = {}) {
    Field field;
    field.key = field.shown = key;
    field.help = std::move(help);
    field.quantity = quantity_of<Value>(range);
    field.range = std::move(range);
    field.names = named_values<Value>();
    field.json = key + std::string(unit_suffix(field.quantity));
    return add_entry({std::move(field), [member](const Spec& spec) { return value_of(spec.*member); },
                      [member](Spec& spec, TableReader& table, const Field& its) {
                        read_value(table, its, spec.*member);
                      }});
  }

  /// The same for a member that results leave out while it is what a new Spec has.
  template <typename Value>
  Field& add_where_set(const std::string& key, Value Spec::*member, std::string help,
                       std::optional<Range> range = {}) {
    Field& field = add(key, member, std::move(help), std::move(range));
    entries_.back().value = [member](const Spec& spec) {
      return spec.*member == Spec{}.*member ? Node{} : value_of(spec.*member);
    };
    return field;
  }

  /// The fields of a struct in a member, as the table `key`.
  template <typename Inner>
  void add_table(const std::string& key, Inner Spec::*member, const Fields<Inner>& fields) {
    for (const auto& entry : fields.entries()) {
      Field field = entry.field;
      for (std::string* path : {&field.key, &field.shown, &field.json}) *path = key + "." + *path;
      if (field.condition) field.condition->key = key + "." + field.condition->key;
      add_entry({std::move(field),
                 [member, value = entry.value](const Spec& spec) { return value(spec.*member); },
                 [member, read = entry.read](Spec& spec, TableReader& table, const Field& its) {
                   read(spec.*member, table, its);
                 }});
    }
  }

  /// A field that needs its own reading.
  Field& add_entry(Entry entry) {
    // A field without a value in a new struct keeps the fallback that it says itself.
    if (Node value = entry.value(Spec{}); value.kind != Node::Kind::null)
      entry.field.fallback = std::move(value);
    return entries_.emplace_back(std::move(entry)).field;
  }

  [[nodiscard]] const std::deque<Entry>& entries() const { return entries_; }

 private:
  std::deque<Entry> entries_;  // references to fields stay valid while others are added
};

}  // namespace pregate
