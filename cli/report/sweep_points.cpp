// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/sweep_points.hpp"

#include <algorithm>
#include <limits>

namespace pregate::cli {

namespace {

std::size_t column_of(const char* name) {
  const std::vector<std::string>& columns = sim::sweep_columns();
  return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
}

/// NaN where the point has none.
double figure(const sim::PointRow& row, std::size_t column) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (column >= row.figures.size()) return none;
  if (const auto* number = std::get_if<double>(&row.figures[column])) return *number;
  if (const auto* count = std::get_if<std::int64_t>(&row.figures[column])) return static_cast<double>(*count);
  return none;
}

SweptPoints::Axis described(const sim::Axis& axis) {
  SweptPoints::Axis described{.key = axis.key, .unit = {}, .is_number = true};
  if (axis.values.empty()) {
    described.unit = axis.range ? axis.range->unit : std::string();
    return described;
  }
  for (std::size_t i = 0; i < axis.values.size(); ++i) {
    const auto measure = sim::measure_of(axis.values[i]);
    if (!measure || (i > 0 && measure->unit != described.unit)) {
      described.is_number = false;
      break;
    }
    described.unit = measure->unit;
  }
  return described;
}

}  // namespace

SweptPoints swept_points(const SweepInputs& inputs, sim::SweepStore& store) {
  SweptPoints swept;
  std::vector<std::size_t> drawn;  // axes
  const std::vector<sim::Axis>& axes = inputs.points().axes();
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].values.empty()) swept.is_sample = true;
    if (axes[i].key == "policy" || axes[i].values.size() == 1) continue;
    drawn.push_back(i);
    swept.axes.push_back(described(axes[i]));
  }
  const std::size_t rate = column_of("tokens_per_s"), least = column_of("tokens_per_s_low"),
                    most = column_of("tokens_per_s_high"), hits = column_of("hit_rate"),
                    memory = column_of("peak_gpu_bytes"), ttft = column_of("ttft_ms"),
                    tpot = column_of("tpot_ms"), bound = column_of("bound_by");
  store.for_each([&](const sim::PointRow& row, const std::string&) {
    if (row.status != "ok") return;
    if (static_cast<std::int64_t>(swept.points.size()) == most_drawn_points) {
      ++swept.left_out;
      return;
    }
    const auto known = std::find(swept.policies.begin(), swept.policies.end(), row.policy);
    SweptPoint point{.number = row.point,
                     .policy = static_cast<std::size_t>(known - swept.policies.begin()),
                     .values = {},
                     .numbers = {},
                     .tokens_per_s = figure(row, rate),
                     .least_tokens_per_s = figure(row, least),
                     .most_tokens_per_s = figure(row, most),
                     .hit_rate = figure(row, hits),
                     .gpu_gib = figure(row, memory) / (1LL << 30),
                     .ttft_ms = figure(row, ttft),
                     .tpot_ms = figure(row, tpot),
                     .bound_by = {}};
    if (known == swept.policies.end()) swept.policies.push_back(row.policy);
    if (bound < row.figures.size()) {
      if (const auto* text = std::get_if<std::string>(&row.figures[bound])) point.bound_by = *text;
    }
    const std::vector<std::string> values = inputs.points().at(row.point);
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      point.values.push_back(values[drawn[i]]);
      const auto measure = swept.axes[i].is_number ? sim::measure_of(values[drawn[i]]) : std::nullopt;
      point.numbers.push_back(measure ? measure->number : 0);
    }
    swept.points.push_back(std::move(point));
  });
  return swept;
}

std::string settings_of(const SweptPoints& swept, const SweptPoint& point) {
  std::string words;
  for (std::size_t i = 0; i < point.values.size(); ++i)
    words += (i == 0 ? "" : ", ") + swept.axes[i].key + "=" + point.values[i];
  return words;
}

}  // namespace pregate::cli
