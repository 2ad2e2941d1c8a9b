// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "models/catalog.hpp"
#include "models/table_reader.hpp"
#include "validation/published/fit.hpp"

namespace pregate::validation {

/// A constant that calibration rows fix: `value * factor` with the unit is set at each path.
struct Constant {
  struct Target {
    std::string path;
    double factor = 1;
  };
  Unknown unknown;
  std::string unit, meaning;
  std::vector<std::string> systems;  ///< on which it applies, where a case has several; empty = all
  std::vector<Target> targets;
};

/// What cases of several kinds have in their files. InputError at the key for what is wrong.

/// The array of texts under `key`; empty when absent.
std::vector<std::string> read_texts(TableReader& table, std::string_view key);

/// The array of settings ("gpu.memory=24 GiB") under `key`; empty when absent.
std::vector<Override> read_overrides(TableReader& table, std::string_view key = "set");

/// Index of the text under `key` among `valid`.
std::size_t known(TableReader& table, std::string_view key, const std::vector<std::string>& valid);

/// The text under `key`: one of `valid`, or the path of a description of the user's own (is_path()).
std::string name_or_path(TableReader& table, std::string_view key, const std::vector<std::string>& valid);

/// Each text under `key` is among `valid`; empty when absent.
std::vector<std::string> read_known_texts(TableReader& table, std::string_view key,
                                          const std::vector<std::string>& valid);

/// One of the spellings, which must be there.
template <typename Value>
Value choice(TableReader& table, std::string_view key,
             std::initializer_list<std::pair<const char*, Value>> choices) {
  std::ignore = table.text(key);
  return table.choice_or<Value>(key, choices, choices.begin()->second);
}

/// One [[constant]], all its keys read; `systems`: names that it may be limited to.
Constant read_constant(TableReader& table, const std::vector<std::string>& systems = {});

/// What check_fixed_once throws.
[[noreturn]] void refuse_constant(const TableReader& top, const Constant& constant, std::ptrdiff_t rows);

/// Exactly one of `rows` must fix each constant (its `fixes`).
template <typename Rows>
void check_fixed_once(const TableReader& top, const std::vector<Constant>& constants, const Rows& rows) {
  for (const Constant& constant : constants) {
    const auto fixing = std::count_if(rows.begin(), rows.end(),
                                      [&](const auto& row) { return row.fixes == constant.unknown.name; });
    if (fixing != 1) refuse_constant(top, constant, fixing);
  }
}

template <class Items, class Name>
std::vector<std::string> names_of(const Items& items, Name&& name) {
  std::vector<std::string> names;
  names.reserve(items.size());
  for (const auto& item : items) names.push_back(name(item));
  return names;
}

}  // namespace pregate::validation
