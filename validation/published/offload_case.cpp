// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <set>

#include "validation/published/offload_runs.hpp"

namespace pregate::validation {

namespace {

/// Rates below this are printed as whole numbers with more than 5 % of rounding.
constexpr double least_gated_rate = 10;

class OffloadExperiment final : public Experiment {
 public:
  explicit OffloadExperiment(OffloadSetup setup) : setup_(std::move(setup)) {}

  void evaluate(const DataFolder& data, CaseResult& result) const override {
    OffloadRuns runs(setup_, data);
    const std::vector<double> values = calibrate(setup_, runs);
    for (std::size_t i = 0; i < values.size(); ++i) add_constant(i, values[i], result);
    std::set<std::string> missing;
    for (const OffloadRow& row : setup_.rows) {
      if (!runs.available(row)) {
        missing.insert(setup_.workloads[row.workload].file);
        continue;
      }
      add(row, runs.run(row, values), result);
    }
    for (const std::string& file : missing) {
      const auto count = std::count_if(setup_.rows.begin(), setup_.rows.end(), [&](const OffloadRow& row) {
        return setup_.workloads[row.workload].file == file;
      });
      result.skipped.push_back(std::to_string(count) + " rows need " + file);
    }
    add_memory_differences(result);
    for (const OffloadAggregate& aggregate : setup_.aggregates) add_aggregate(aggregate, result);
  }

  [[nodiscard]] std::vector<EnteredFigure> entered() const override {
    std::vector<EnteredFigure> figures;
    for (const OffloadRow& row : setup_.rows) {
      if (row.file.empty()) continue;
      figures.push_back({row.file, {{{}, row.line, row.column, 1}}, row.published});
    }
    return figures;
  }

 private:
  void add_constant(std::size_t index, double value, CaseResult& result) const {
    const Constant& constant = setup_.constants[index];
    FittedConstant fitted{constant.unknown.name, constant.unit, constant.meaning, "", value};
    for (const OffloadRow& row : setup_.rows) {
      if (row.fixes == fitted.name) fitted.fixed_by = row.series + ", " + row.model + ", " + row.design;
    }
    result.constants.push_back(fitted);
  }

  void add(const OffloadRow& source, const Outcome& outcome, CaseResult& result) const {
    Row row;
    row.series = source.series;
    row.metric = metric_name(source.metric);
    row.group = source.model + ", " + std::to_string(source.line);
    row.subject = source.model;
    row.variant = source.design;
    const Workload& workload = setup_.workloads[source.workload];
    if (!workload.label.empty()) row.subject += ", " + workload.label;
    row.role = source.fixes.empty() ? Role::predict : Role::calibrate;
    row.published = source.published;
    row.predicted = OffloadRuns::figure(source, outcome);
    row.note = source.fixes.empty() ? source.note : "fixes " + source.fixes;
    const bool did_not_fit = source.published == 0 && !source.printed_as_zero;
    const bool timed = source.metric != OffloadMetric::peak_bytes;
    if (timed && (did_not_fit || outcome.out_of_memory)) {
      row.metric = "fits";
      row.group.clear();
      row.comparison = Comparison::exact;
      row.published = did_not_fit ? 0 : 1;
      row.predicted = outcome.out_of_memory ? 0 : 1;
      row.note = "did not fit is 0";
    } else if (source.metric == OffloadMetric::peak_bytes) {
      row.group.clear();
    } else if (source.metric == OffloadMetric::hit_rate) {
      row.gated = false;
      row.group.clear();
      row.comparison = Comparison::points;
      row.published *= 100;
      row.predicted *= 100;
    } else if (source.printed_as_zero) {
      row.gated = false;
      row.comparison = Comparison::points;
      row.note = "printed as 0: rounded";
    } else if (source.metric == OffloadMetric::tokens_per_s && source.published < least_gated_rate) {
      row.gated = false;
      row.note = "rounded to a whole number";
    }
    result.rows.push_back(row);
  }

  /// Peak memory less that of on-demand on the same model.
  static void add_memory_differences(CaseResult& result) {
    std::vector<Row> differences;
    for (const Row& row : result.rows) {
      if (row.metric != "peak_bytes" || row.variant == "on-demand") continue;
      const auto base = std::find_if(result.rows.begin(), result.rows.end(), [&](const Row& other) {
        return other.metric == row.metric && other.series == row.series && other.subject == row.subject &&
               other.variant == "on-demand";
      });
      if (base == result.rows.end()) continue;
      Row difference = row;
      difference.metric = "peak_difference_bytes";
      difference.role = Role::predict;  // what a peak fixes is in both
      difference.gated = true;
      difference.comparison = Comparison::exact;
      difference.note.clear();
      difference.published -= base->published;
      difference.predicted -= base->predicted;
      differences.push_back(difference);
    }
    result.rows.insert(result.rows.end(), differences.begin(), differences.end());
  }

  static void add_aggregate(const OffloadAggregate& aggregate, CaseResult& result) {
    Aggregate derived;
    derived.name = aggregate.name;
    derived.paper = aggregate.paper;
    derived.digits = aggregate.digits;
    const auto published = mean(aggregate, result.rows, &Row::published);
    const auto predicted = mean(aggregate, result.rows, &Row::predicted);
    if (published <= 0 || predicted <= 0) return;  // its rows were skipped
    derived.from_published = published;
    derived.from_predicted = predicted;
    result.aggregates.push_back(derived);
  }

  static double mean(const OffloadAggregate& aggregate, const std::vector<Row>& rows, double Row::*figure) {
    constexpr double did_not_fit = 0, absent = -1;
    const auto find = [&](const std::string& model, const std::string& design) {
      for (const Row& row : rows) {
        if (row.series != aggregate.figure || row.subject != model || row.variant != design) continue;
        if (row.metric == "fits") return did_not_fit;
        if (row.comparison == Comparison::ratio) return row.*figure;
      }
      return absent;
    };
    double sum = 0, logs = 0, largest = 0;
    int count = 0;
    for (const std::string& model : aggregate.models) {
      const double of = find(model, aggregate.of);
      const double over = aggregate.over.empty() ? 1 : find(model, aggregate.over);
      if (of == absent || over == absent) return 0;  // skipped: a mean of the rest would mislead
      if (of <= 0 || over <= 0) continue;
      ++count;
      sum += of / over;
      logs += std::log(of / over);
      largest = std::max(largest, of / over);
    }
    if (count == 0) return 0;
    if (aggregate.mean == OffloadAggregate::Mean::largest) return largest;
    if (aggregate.mean == OffloadAggregate::Mean::arithmetic) return sum / count;
    return std::exp(logs / count);
  }

  OffloadSetup setup_;
};

}  // namespace

std::unique_ptr<Experiment> read_offload_case(TableReader& top) {
  return std::make_unique<OffloadExperiment>(read_offload_setup(top));
}

}  // namespace pregate::validation
