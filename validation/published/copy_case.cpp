// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "models/machine.hpp"
#include "sim/cost/cost_model.hpp"
#include "validation/published/case.hpp"
#include "validation/published/case_reader.hpp"
#include "validation/published/fit.hpp"

namespace pregate::validation {

namespace {

enum class Form {
  formula,  ///< fixed time + bytes / rate
  table,    ///< bytes / rate(bytes), the rate linear in log2(bytes) between points
};

struct Point {
  Bytes size;
  double gb_per_s = 0;
  [[nodiscard]] double seconds() const { return static_cast<double>(size.count) / (gb_per_s * 1e9); }
};

struct Series {
  std::string name, file, column;
  bool pinned = true;
  Form form = Form::formula;
  std::vector<Bytes> fit;
  std::vector<Point> points;
  [[nodiscard]] bool fitted(const Point& point) const {
    return std::find(fit.begin(), fit.end(), point.size) != fit.end();
  }
};

Series read_series(TableReader& table) {
  Series series;
  series.name = table.text("name");
  series.file = table.text_or("file", "");
  series.column = table.text_or("column", "");
  series.pinned = table.boolean_or("pinned", true);
  std::ignore = table.text("form");
  series.form =
      table.choice_or<Form>("form", {{"formula", Form::formula}, {"table", Form::table}}, Form::formula);
  if (!series.pinned && series.form == Form::table) {
    throw InputError(table.where("form"), "the table of a link is for pinned copies");
  }
  for (const std::string& size : read_texts(table, "fit")) {
    series.fit.push_back(parse_bytes(size, table.where("fit")));
  }
  for (TableReader& entry : table.tables("rows")) {
    Point point{{entry.integer("bytes", 1, std::int64_t{1} << 50)}, entry.number("gb_per_s")};
    if (!(point.gb_per_s > 0 && point.gb_per_s < 1e5)) {
      throw InputError(entry.where("gb_per_s"), "is not a rate");
    }
    if (!series.points.empty() && point.size <= series.points.back().size) {
      throw InputError(entry.where("bytes"), "sizes must increase");
    }
    entry.finish();
    series.points.push_back(point);
  }
  const auto fitted = std::count_if(series.points.begin(), series.points.end(),
                                    [&](const Point& point) { return series.fitted(point); });
  if (fitted < 2 || static_cast<std::size_t>(fitted) != series.fit.size() ||
      series.fit.size() == series.points.size()) {
    throw InputError(table.where("fit"), "must name two or more sizes of the rows, and not all of them");
  }
  table.finish();
  return series;
}

/// As sim::CostModel prices a copy.
double copy_seconds(const LinkSpec& link, bool pinned, Bytes size) {
  if (pinned && !link.table.empty()) return time_at(size, sim::copy_rate(link, size)).seconds();
  return (link.latency + link.per_copy + time_at(size, pinned ? link.bandwidth : link.pageable_bandwidth))
      .seconds();
}

LinkSpec fitted_table(const Series& series) {
  LinkSpec link;
  for (const Point& point : series.points) {
    if (series.fitted(point)) link.table.push_back({point.size, {point.gb_per_s * 1e9}});
  }
  return link;
}

LinkSpec fitted_formula(const Series& series, std::vector<double>& values) {
  LinkSpec link;
  const auto set = [&link](const std::vector<double>& at) {
    link.per_copy = from_seconds(at[0] * 1e-6);
    link.bandwidth = link.pageable_bandwidth = {at[1] * 1e9};
  };
  const Point& smallest = series.points.front();
  const Point& largest = series.points.back();
  values = least_squares(
               {{"fixed time of a copy", std::min(900.0, smallest.seconds() * 1e6), 0, 1000},
                {"rate", largest.gb_per_s, largest.gb_per_s / 10, largest.gb_per_s * 10}},
               [&](const std::vector<double>& at) {
                 set(at);
                 std::vector<double> residuals;
                 for (const Point& point : series.points) {
                   if (!series.fitted(point)) continue;
                   residuals.push_back(copy_seconds(link, series.pinned, point.size) / point.seconds() - 1);
                 }
                 return residuals;
               })
               .values;
  set(values);
  return link;
}

class CopyExperiment final : public Experiment {
 public:
  explicit CopyExperiment(std::vector<Series> series) : series_(std::move(series)) {}

  void evaluate(const DataFolder&, CaseResult& result) const override {
    for (const Series& series : series_) {
      std::vector<double> values;
      const LinkSpec formula = fitted_formula(series, values);
      const LinkSpec table = fitted_table(series);
      const bool by_formula = series.form == Form::formula;
      if (by_formula) {
        result.constants.push_back(
            {"fixed time of a copy", "us", "", series.name + ", fitted sizes", values[0]});
        result.constants.push_back({"rate", "GB/s", "", series.name + ", fitted sizes", values[1]});
      }
      for (const Point& point : series.points) {
        add(series, point, "copy_us", by_formula ? formula : table, true, result);
      }
      if (!series.pinned) continue;
      for (const Point& point : series.points) {
        add(series, point, "copy_other_form_us", by_formula ? table : formula, false, result);
      }
    }
  }

  [[nodiscard]] std::vector<EnteredFigure> entered() const override {
    std::vector<EnteredFigure> figures;
    for (const Series& series : series_) {
      if (series.file.empty()) continue;
      for (const Point& point : series.points) {
        figures.push_back({series.file,
                           {{{{"bytes", std::to_string(point.size.count)}}, 0, series.column, 1}},
                           point.gb_per_s});
      }
    }
    return figures;
  }

 private:
  static void add(const Series& series, const Point& point, const char* metric, const LinkSpec& link,
                  bool gated, CaseResult& result) {
    Row row;
    row.series = series.name;
    row.metric = metric;
    row.subject = std::to_string(point.size.count) + " B";
    row.role = series.fitted(point) ? Role::calibrate : Role::predict;
    row.gated = gated;
    row.published = point.seconds() * 1e6;
    row.predicted = copy_seconds(link, series.pinned, point.size) * 1e6;
    row.x = static_cast<double>(point.size.count);
    result.rows.push_back(row);
  }

  std::vector<Series> series_;
};

}  // namespace

std::unique_ptr<Experiment> read_copy_case(TableReader& top) {
  std::vector<Series> series;
  for (TableReader& table : top.tables("series")) series.push_back(read_series(table));
  if (series.empty()) throw InputError(top.where("series"), "the case has no rows");
  return std::make_unique<CopyExperiment>(std::move(series));
}

}  // namespace pregate::validation
