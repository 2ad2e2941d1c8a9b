// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/error.hpp"
#include "models/fields/fields.hpp"

namespace pregate {

/// The tables on the way to a field, opened once each and finished when the next field lies elsewhere.
class TablePath {
 public:
  explicit TablePath(TableReader& root) : root_(&root) {}
  /// The table that holds the field; nullptr where there is none, which is an error for a field that is
  /// needed.
  TableReader* table_of(const Field& field);
  /// Finishes what is open, the root excepted.
  void finish();

 private:
  TableReader* root_;
  std::vector<std::pair<std::string, TableReader>> open_;  ///< each within the one before
};

/// What the field's value must be, after "it must be".
std::string range_words(const Field& field);
/// The key is there, but what it holds is out of range.
[[noreturn]] void refuse_value(TableReader& table, const Field& field);
/// The key is not there, though `by` has the value that needs it.
[[noreturn]] void refuse_absence(TableReader& table, const Field& field);

/// Has the field that the condition names one of its values.
template <typename Spec>
bool holds(const Condition& condition, const Fields<Spec>& fields, const Spec& spec) {
  for (const auto& [field, value, read] : fields.entries()) {
    if (field.key != condition.key) continue;
    const std::string is = written(field, value(spec));
    for (const std::string& each : condition.values) {
      if (each == is) return true;
    }
  }
  return false;
}

/// Reads every field of `table`, whose keys were not asked for yet; what lies in tables below is finished,
/// the table itself is not. InputError with file and line for what is missing, of another type or out of
/// range.
template <typename Spec>
void read_fields(const Fields<Spec>& fields, Spec& spec, TableReader& root) {
  TablePath path(root);
  for (const auto& [field, value, read] : fields.entries()) {
    TableReader* table = path.table_of(field);
    if (table == nullptr) continue;
    if (table->has(field.name()) || field.need == Need::always) {
      read(spec, *table, field);
      if (!is_in_range(field, value(spec))) refuse_value(*table, field);
    } else if (field.need == Need::with_condition && holds(*field.condition, fields, spec)) {
      refuse_absence(*table, field);
    }
  }
  path.finish();
}

/// InputError at `where` for the first field that is out of its range; `prefix` goes before its key.
template <typename Spec>
void check_ranges(const Fields<Spec>& fields, const Spec& spec, const std::string& where,
                  const std::string& prefix = {}) {
  for (const auto& [field, value, read] : fields.entries()) {
    if (is_in_range(field, value(spec))) continue;
    throw InputError(where, prefix + field.key + " is missing, zero or not believable",
                     "it must be " + range_words(field));
  }
}

}  // namespace pregate
