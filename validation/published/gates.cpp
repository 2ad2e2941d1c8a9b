// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <map>

#include "validation/published/result.hpp"

namespace pregate::validation {

namespace {

std::string name_of(const Row& row) {
  return row.variant.empty() ? row.subject : row.subject + ", " + row.variant;
}

bool counts(const Row& row) { return row.role == Role::predict && row.gated; }
bool is_of(const Row& row, const Gate& gate) {
  return row.metric == gate.metric && (gate.series.empty() || row.series == gate.series);
}

/// Pairs of one group (order_share: of all rows), one at least of them predicted, whose published figures
/// differ and whose predicted ones do not stand in that order; what is no number stands in none.
GateResult order(const Gate& gate, const std::vector<Row>& rows) {
  GateResult result{gate, 0, 0, ""};
  std::map<std::pair<std::string, std::string>, std::vector<const Row*>> groups;
  for (const Row& row : rows) {
    if (!is_of(row, gate)) continue;
    if (gate.measure == Measure::order_share) {
      groups[{row.metric, ""}].push_back(&row);
    } else if (!row.group.empty()) {
      groups[{row.series, row.group}].push_back(&row);
    }
  }
  for (const auto& [key, members] : groups) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (std::size_t j = i + 1; j < members.size(); ++j) {
        const Row &a = *members[i], &b = *members[j];
        const double least = std::min(a.published, b.published) * (1 + gate.apart / 100);
        if (std::max(a.published, b.published) <= least) continue;
        if (!counts(a) && !counts(b)) continue;
        ++result.rows;
        if (a.published < b.published ? a.predicted < b.predicted : a.predicted > b.predicted) continue;
        result.value += 1;
        result.worst_row = gate.measure == Measure::order
                               ? key.first + ", " + name_of(a) + " against " + b.variant
                               : a.series + ", " + name_of(a) + " against " + b.series + ", " + name_of(b);
      }
    }
  }
  if (gate.measure == Measure::order_share && result.rows > 0) result.value *= 100.0 / result.rows;
  return result;
}

GateResult hold(const Gate& gate, const std::vector<Row>& rows) {
  if (gate.measure == Measure::order || gate.measure == Measure::order_share) return order(gate, rows);
  GateResult result{gate, 0, 0, ""};
  double sum = 0, signed_sum = 0, worst = -1;
  for (const Row& row : rows) {
    if (!is_of(row, gate) || !counts(row)) continue;
    ++result.rows;
    const double error = std::abs(row.error());
    sum += error;
    signed_sum += row.error();
    if (gate.measure == Measure::exact) result.value += error != 0 ? 1 : 0;
    // What is no number is worse than any number.
    if (!std::isnan(worst) && !(error <= worst)) {
      worst = error;
      result.worst_row = row.series + ", " + name_of(row);
    }
  }
  if (result.rows == 0) return result;
  if (gate.measure == Measure::mape) result.value = sum / result.rows;
  if (gate.measure == Measure::bias) result.value = std::abs(signed_sum / result.rows);
  if (gate.measure == Measure::worst || gate.measure == Measure::worst_points) result.value = worst;
  return result;
}

Summary summarise(const std::string& series, const std::string& metric, const std::vector<Row>& rows) {
  Summary summary;
  summary.series = series;
  summary.metric = metric;
  std::vector<const Row*> predicted, gated;
  for (const Row& row : rows) {
    if (row.series != series || row.metric != metric) continue;
    if (row.role == Role::calibrate) {
      ++summary.calibrated;
    } else {
      predicted.push_back(&row);
      if (row.gated) gated.push_back(&row);
    }
  }
  summary.predicted = static_cast<int>(predicted.size());
  summary.gated = static_cast<int>(gated.size());
  const auto& counted = gated.empty() ? predicted : gated;
  for (const Row* row : counted) {
    const double error = row->error();
    summary.mape += std::abs(error) / static_cast<double>(counted.size());
    summary.bias += error / static_cast<double>(counted.size());
    if (std::abs(error) >= std::abs(summary.worst)) {
      summary.worst = error;
      summary.worst_row = name_of(*row);
    }
  }
  return summary;
}

}  // namespace

double Row::error() const {
  if (comparison == Comparison::ratio) return 100 * (predicted / published - 1);
  return predicted - published;
}

bool Aggregate::agrees(double value) const {
  const double unit = std::pow(10.0, -digits);
  return std::round(value / unit) == std::round(paper / unit);
}

const char* to_string(Measure measure) {
  switch (measure) {
    case Measure::mape:
      return "mape";
    case Measure::worst:
      return "worst";
    case Measure::worst_points:
      return "worst-points";
    case Measure::bias:
      return "bias";
    case Measure::order:
      return "order";
    case Measure::order_share:
      return "order-share";
    case Measure::exact:
      return "exact";
  }
  return "";
}

bool CaseResult::failed() const {
  return std::any_of(gates.begin(), gates.end(),
                     [](const GateResult& gate) { return gate.applied() && !gate.passed(); });
}

void judge(const std::vector<Gate>& gates, CaseResult& result) {
  result.summaries.clear();
  result.gates.clear();
  std::vector<std::pair<std::string, std::string>> seen;
  for (const Row& row : result.rows) {
    if (std::find(seen.begin(), seen.end(), std::pair(row.series, row.metric)) != seen.end()) continue;
    seen.emplace_back(row.series, row.metric);
    result.summaries.push_back(summarise(row.series, row.metric, result.rows));
  }
  for (const Gate& gate : gates) result.gates.push_back(hold(gate, result.rows));
}

}  // namespace pregate::validation
