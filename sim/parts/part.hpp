// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <any>
#include <functional>
#include <list>
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
  bool is_own = false;  ///< of the host program's own (PartRegistry::add_own)
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
  /// A part of the host program's own, for as long as it runs. One of that name that was added so before
  /// gives way; results that chose it go on to speak of what they chose. InputError at `where` when it is the
  /// name of a part of ours. Not while anything runs.
  void add_own(Entry entry, const std::string& where) {
    entry.is_own = true;
    const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& other) {
      return other.name == entry.name || other.former == entry.name;
    });
    if (same != entries_.end() && !same->is_own)
      throw InputError(where, "there is a part of that name", "choose another name");
    const auto next = same == entries_.end() ? same : std::next(same);
    if (same != entries_.end()) replaced_.splice(replaced_.end(), entries_, same);
    entries_.insert(next, std::move(entry));
  }
  /// Lets go of what own parts hold of the host program: they can no longer be made.
  void release_own() {
    for (std::list<Entry>* const entries : {&entries_, &replaced_}) {
      for (Entry& entry : *entries) {
        if (entry.is_own) entry.make = nullptr;
      }
    }
  }
  [[nodiscard]] const std::list<Entry>& entries() const { return entries_; }
  [[nodiscard]] const Entry& standard() const { return entries_.front(); }
  [[nodiscard]] std::vector<NamedValue> names() const {
    std::vector<NamedValue> names;
    for (const Entry& entry : entries_) names.push_back({entry.name, entry.help, entry.former});
    return names;
  }
  /// InputError at `where` when there is none called `name`.
  [[nodiscard]] const Entry& find(const std::string& name, const std::string& where) const {
    return *std::next(entries_.begin(), static_cast<std::ptrdiff_t>(chosen(names(), name, where)));
  }

 private:
  std::list<Entry> entries_, replaced_;  // entries stay where they are
};

}  // namespace pregate::sim
