// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/simulate.hpp"

namespace pregate::sim {

/// A count, a measure, or a word. NaN is not known: null in JSON, an empty field of CSV. Without a value
/// (std::monostate) the JSON has no such key.
using MetricValue = std::variant<std::monostate, std::int64_t, double, std::string>;

/// Where a metric stands in a result's JSON, and which results have it.
enum class MetricGroup {
  rates,   ///< times, rates and traffic, first; of results that ran
  memory,  ///< of every result: one that does not fit too
  run,     ///< causes and counts, last; of results that ran
};

/// How a column of the table marks its best value.
enum class Best { most, least, unmarked };

/// A metric's column in the table of `simulate` and `compare`.
struct TableColumn {
  std::string head;
  Best best = Best::unmarked;
  int rank = 0;        ///< the largest is the first that a narrow terminal leaves out; 0 stays
  double divisor = 1;  ///< from the metric's unit to that of the head
  std::string (*print)(double) = nullptr;
  bool only_above_zero = false;  ///< left out where no result has more than 0
};

/// A figure of a result, described once: JSON, CSV, table and `pregate list metrics` follow from it.
struct Metric {
  std::string name;  ///< the key in a result's JSON, dots between levels
  std::string unit;  ///< "ms"; "0 to 1" of a share; empty of a word or a count
  std::string help;
  /// Of a result that has figures; in MetricGroup::memory of any.
  std::function<MetricValue(const SimulationResult&)> value;
  std::string csv{};  ///< head of its CSV column, with the unit; empty: it has none
  std::optional<TableColumn> table{};
  bool in_json = true;
  MetricGroup group = MetricGroup::rates;  ///< set by the list that it stands in
};

/// All, in the order of reports. A new one is an entry of the list of its group, sim/report/metrics_*.cpp
/// (docs/adding.md).
const std::vector<Metric>& metrics();

/// Whether `result` has a value of `metric`.
inline bool has(const SimulationResult& result, const Metric& metric) {
  return metric.group == MetricGroup::memory || result.has_figures();
}

/// NaN where it is not a number.
double as_number(const MetricValue& value);

}  // namespace pregate::sim
