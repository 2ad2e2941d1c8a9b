// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/fields/fields.hpp"

namespace pregate::cli {

/// Fields for people: key, value, default, meaning; the values of a choice a line each below it.
std::string field_list(const std::vector<const Field*>& fields);

/// Rows of as many cells each, at least one: left-aligned columns, a line each with an indent of two.
std::string left_aligned(const std::vector<std::vector<std::string>>& rows);

template <typename Spec>
std::string field_list(const Fields<Spec>& fields) {
  std::vector<const Field*> all;
  for (const auto& entry : fields.entries()) all.push_back(&entry.field);
  return field_list(all);
}

}  // namespace pregate::cli
