// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "tests/support/shared_data.hpp"
#include "validation/published/report.hpp"

namespace pregate::validation {

/// An embedded case and its result, computed once a process.
inline const Evaluated& evaluated(const std::string& name) {
  static std::map<std::string, Evaluated> known;
  const auto place = known.find(name);
  if (place != known.end()) return place->second;
  Case published = load_case(name);
  CaseResult result = evaluate(published, {test::shared_data()});
  return known.emplace(name, Evaluated{std::move(published), std::move(result)}).first->second;
}

}  // namespace pregate::validation
