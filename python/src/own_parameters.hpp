// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <any>
#include <optional>
#include <string>
#include <vector>

#include "models/fields/field.hpp"
#include "sim/parts/part.hpp"
#include "sim/policy/policy_fields.hpp"

namespace pregate::python {

/// The parameters of a part of the user's own: arguments of its constructor, which become keys of its table
/// of a policy.
class OwnParameters {
 public:
  /// `described` is a list of (name, default, help, least or None, most or None, choices), as
  /// pregate/parameters.py makes it; the default says what kind it is. InputError at `where` for a name that
  /// is no key, and a default that is not what it says may be given. To be called with the lock.
  OwnParameters(std::string where, nanobind::list described);

  /// As lists, files, --set and results know them.
  [[nodiscard]] sim::PartParameters described() const;
  /// What the constructor is called with, for values of described(); those of another part are its defaults.
  /// To be called with the lock.
  [[nodiscard]] nanobind::dict arguments(const std::any& values) const;

  /// InputError where a name of these is taken in that table of a policy: by a key of its own, or by a
  /// parameter of another part that is of another kind. `others` are the parts of the registry.
  template <class Entries>
  void check_keys(const std::string& table, const std::string& name, const Entries& others) const {
    for (const Field& own : fields_) {
      bool is_of_a_part = false;
      for (const auto& other : others) {
        const auto* const same = other.parameters.find(own.key);
        if (same == nullptr) continue;
        is_of_a_part = true;
        if (other.name != name && !are_alike(own, same->field))
          refuse_taken(own, "a parameter of another kind of " + other.name);
      }
      if (!is_of_a_part && is_key(table + "." + own.key)) refuse_taken(own, "a key of " + table);
    }
  }

 private:
  static bool are_alike(const Field& a, const Field& b);
  static bool is_key(const std::string& key);
  [[noreturn]] void refuse_taken(const Field& own, const std::string& by) const;

  std::string where_;
  std::vector<Field> fields_;  ///< with their defaults as fallback
};

}  // namespace pregate::python
