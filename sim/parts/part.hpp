// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "models/fields/fields.hpp"

namespace pregate::sim {

/// The parameters of a part, described field by field; their type is known to the part's own file.
class PartParameters {
 public:
  struct Entry {
    Field field;
    std::function<Node(const std::any&)> value;
    std::function<void(std::any&, TableReader&, const Field&)> read;
  };

  PartParameters() = default;
  template <typename Parameters>
  explicit PartParameters(const Fields<Parameters>& fields, Parameters defaults = {})
      : defaults_(std::move(defaults)) {
    for (const auto& entry : fields.entries()) {
      entries_.push_back({entry.field,
                          [value = entry.value](const std::any& parameters) {
                            return value(std::any_cast<const Parameters&>(parameters));
                          },
                          [read = entry.read](std::any& parameters, TableReader& table, const Field& field) {
                            read(std::any_cast<Parameters&>(parameters), table, field);
                          }});
    }
  }

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const std::any& defaults() const { return defaults_; }
  /// nullptr when there is none of that name.
  [[nodiscard]] const Entry* find(std::string_view name) const;

 private:
  std::vector<Entry> entries_;
  std::any defaults_;
};

/// What a part of a policy says of itself, once: files, --set, lists, results and labels take it from here.
struct PartDescription {
  std::string name;       ///< as files, options and results write it
  std::string help;       ///< a line
  std::string mechanism;  ///< what it adds to the mechanism of a policy, in words; empty: nothing
  std::string former;     ///< a name that it had; refused, with this one as the hint
  PartParameters parameters;
};

/// Sets a parameter as --set would: InputError at `where` for one that the part lacks, or cannot be that.
void set_parameter(const PartDescription& part, std::any& parameters, const std::string& name,
                   const std::string& value, const std::string& where);

/// A part that a policy chose, with its parameters. The entry must outlive it.
template <class Entry>
class Chosen {
 public:
  Chosen(const Entry& entry)  // NOLINT(google-explicit-constructor): an entry is its choice by default
      : entry_(&entry), parameters_(entry.parameters.defaults()) {}

  const Entry& operator*() const { return *entry_; }
  const Entry* operator->() const { return entry_; }
  [[nodiscard]] const std::any& parameters() const { return parameters_; }
  std::any& parameters() { return parameters_; }
  /// As set_parameter().
  void set(const std::string& parameter, const std::string& value) {
    set_parameter(*entry_, parameters_, parameter, value, entry_->name);
  }

 private:
  const Entry* entry_;
  std::any parameters_;
};

/// The parts of one kind, the default first. An explicit list: nothing registers itself.
template <class Entry>
class PartRegistry {
 public:
  const Entry& add(Entry entry) { return entries_.emplace_back(std::move(entry)); }
  [[nodiscard]] const std::deque<Entry>& entries() const { return entries_; }
  [[nodiscard]] const Entry& standard() const { return entries_.front(); }
  [[nodiscard]] std::vector<NamedValue> names() const {
    std::vector<NamedValue> names;
    for (const Entry& entry : entries_) names.push_back({entry.name, entry.help, entry.former});
    return names;
  }
  /// InputError at `where` when there is none called `name`.
  [[nodiscard]] const Entry& find(const std::string& name, const std::string& where) const {
    return entries_[chosen(names(), name, where)];
  }

 private:
  std::deque<Entry> entries_;  // entries stay where they are
};

}  // namespace pregate::sim
