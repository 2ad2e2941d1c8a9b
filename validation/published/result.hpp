// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace pregate::validation {

/// Rows that constants were fitted on say nothing about the model; only predicted rows are gated.
enum class Role { calibrate, predict };

/// How a predicted figure is held against the published one.
enum class Comparison {
  ratio,   ///< signed error in per cent of the published figure
  points,  ///< signed difference, both in per cent
  exact,   ///< equal or not
};

/// One published figure and what the simulator says.
struct Row {
  std::string series;   ///< figure or table of the source, e.g. "Figure 10"
  std::string metric;   ///< a name of Case::metrics
  std::string group;    ///< rows that are ordered against each other: one model on one workload
  std::string subject;  ///< e.g. "switch-base-64", "64 tokens"
  std::string variant;  ///< e.g. the design; may be empty
  Role role = Role::predict;
  bool gated = true;
  double published = 0, predicted = 0;
  Comparison comparison = Comparison::ratio;
  double x = 0;      ///< place on a picture's horizontal axis where that is a number (bytes, tokens)
  std::string note;  ///< why a row is not gated, what fixed it, ...

  /// Per cent, points, or predicted - published, as the comparison says.
  [[nodiscard]] double error() const;
};

/// A constant that the calibration rows fixed.
struct FittedConstant {
  std::string name, unit, meaning, fixed_by;
  double value = 0;
};

/// A figure that the source's authors derived from their rows.
struct Aggregate {
  std::string name;
  double paper = 0;
  double from_published = 0, from_predicted = 0;
  int digits = 0;  ///< decimals that the paper prints

  /// Whether the source's own rows round to what the paper says.
  [[nodiscard]] bool holds() const { return agrees(from_published); }
  [[nodiscard]] bool predicted() const { return agrees(from_predicted); }

 private:
  [[nodiscard]] bool agrees(double value) const;
};

/// All rows of a metric in a series, calibration rows apart.
struct Summary {
  std::string series, metric;
  int predicted = 0, gated = 0, calibrated = 0;
  double mape = 0;   ///< of the predicted rows that are gated; of all predicted ones when none is
  double bias = 0;   ///< mean signed error of the same rows
  double worst = 0;  ///< signed error of the row furthest off
  std::string worst_row;
};

enum class Measure {
  mape,          ///< mean of |error| of the predicted, gated rows <= limit (per cent)
  worst,         ///< largest |error| of them <= limit (per cent)
  worst_points,  ///< largest |difference| of them <= limit (points)
  bias,          ///< |mean signed error| of them <= limit (per cent)
  order,         ///< pairs of a group, Gate::apart or more, that stand in the wrong order <= limit
  order_share,   ///< pairs of all rows of the metric, as above, that stand in the wrong order <= limit (per
                 ///< cent)
  exact,         ///< rows that differ <= limit
};
const char* to_string(Measure measure);

/// A threshold, written down before the first run.
struct Gate {
  std::string metric;
  Measure measure = Measure::mape;
  double limit = 0;
  std::string reason;
  std::string series = {};  ///< only its rows; empty: those of all
  double apart = 0;  ///< order, order_share: pairs count whose published figures differ by more, per cent
  /// "Figure 11 tokens_per_s"
  [[nodiscard]] std::string rows() const { return series.empty() ? metric : series + " " + metric; }
};

struct GateResult {
  Gate gate;
  double value = 0;
  int rows = 0;  ///< rows (pairs, of an order) that were held against it; 0 = it was not applied
  std::string worst_row;
  [[nodiscard]] bool applied() const { return rows > 0; }
  [[nodiscard]] bool passed() const { return applied() && value <= gate.limit; }
};

struct CaseResult {
  std::vector<FittedConstant> constants;
  std::vector<Row> rows;
  std::vector<Aggregate> aggregates;
  std::vector<Summary> summaries;
  std::vector<GateResult> gates;
  std::vector<std::string> skipped;  ///< what was left out for want of recorded data, loudly
  [[nodiscard]] bool failed() const;
};

/// Fills summaries and gates from the rows.
void judge(const std::vector<Gate>& gates, CaseResult& result);

}  // namespace pregate::validation
