// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/rates/rates_report.hpp"

#include <cmath>
#include <cstdio>
#include <functional>

#include "models/error.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::validation {

namespace {

std::string signed_percent(double percent) {
  char text[64];
  std::snprintf(text, sizeof text, "%+.1f", percent);
  return text;
}

/// Of per cent; less is noise.
std::string hundredths(double percent) { return sim::three_digits(std::round(100 * percent) / 100); }

std::string with_unit(double value, const std::string& unit) {
  return sim::three_digits(value) + (unit.empty() ? "" : " " + unit);
}

/// Mean of the absolute errors in per cent; a negative number where no row has one.
double mean_off(const RateFit& fit, const std::vector<MeasuredRate>& rows,
                const std::function<const double*(const RateFit::Row&)>& figure) {
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double* predicted = figure(fit.rows[i]);
    if (predicted == nullptr) continue;
    sum += std::abs(percent_off(*predicted, rows[i].value));
    ++count;
  }
  return count == 0 ? -1 : sum / count;
}

double mean_before(const RateFit& fit, const std::vector<MeasuredRate>& rows) {
  return mean_off(fit, rows, [](const RateFit::Row& row) { return &row.before; });
}
double mean_fitted(const RateFit& fit, const std::vector<MeasuredRate>& rows) {
  return mean_off(fit, rows, [](const RateFit::Row& row) { return &row.fitted; });
}
double mean_left_out(const RateFit& fit, const std::vector<MeasuredRate>& rows) {
  return mean_off(fit, rows, [](const RateFit::Row& row) { return row.left_out ? &*row.left_out : nullptr; });
}

std::string what_was_fitted(const RateFit& fit) {
  if (fit.constants.empty()) return "no constant is determined by these rows: the machine stays as it is\n";
  sim::TextTable table({"fitted", "was", "is", "what it is"});
  std::string notes;
  for (const RateFit::Constant& fitted : fit.constants) {
    const RateConstant& constant = rate_constants()[fitted.index];
    table.add({constant.name, with_unit(fitted.was, constant.unit), with_unit(fitted.value, constant.unit),
               constant.meaning});
    if (fitted.is_at_limit) {
      notes +=
          "note: " + constant.name +
          " is at its limit: the rows ask for more than that constant can give; something else differs\n";
    }
  }
  return table.text() + notes;
}

std::string why_left(const Determined::Left& left) {
  if (left.is_beyond_rows) return "the rows are too few for one constant more";
  if (!left.like) return "no row moves with it";
  return "the rows cannot tell it from " + rate_constants()[*left.like].name;
}

std::string what_was_not(const RateFit& fit) {
  if (fit.left.empty()) return {};
  sim::TextTable table({"not fitted", "stays", "because"});
  for (const Determined::Left& left : fit.left) {
    const RateConstant& constant = rate_constants()[left.constant];
    table.add({constant.name, with_unit(constant.value(fit.machine), constant.unit), why_left(left)});
  }
  return "\n" + table.text();
}

}  // namespace

std::string rates_report(const RateFit& fit, const std::vector<MeasuredRate>& rows) {
  sim::TextTable table({"row", "metric", "measured", "before %", "fitted %", "left out %", "note"});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RateFit::Row& row = fit.rows[i];
    table.add({rows[i].label, to_string(rows[i].metric), sim::three_digits(rows[i].value),
               signed_percent(percent_off(row.before, rows[i].value)),
               signed_percent(percent_off(row.fitted, rows[i].value)),
               row.left_out ? signed_percent(percent_off(*row.left_out, rows[i].value)) : "-",
               printable(rows[i].note)});
  }
  const double before = mean_before(fit, rows), left_out = mean_left_out(fit, rows);
  std::string text = what_was_fitted(fit) + what_was_not(fit) + "\n" + table.text() + "\n" +
                     "before: " + hundredths(before) + " % off on average; now: " + fit_in_words(fit, rows) +
                     "\n";
  if (left_out < 0)
    text += "note: one row says nothing of how far off other rates are; results will say so\n";
  if (left_out > before) {
    text +=
        "note: rows that were left out are further off than without any fit: the rows are too few, or do not "
        "belong together\n";
  }
  return text;
}

std::string fit_in_words(const RateFit& fit, const std::vector<MeasuredRate>& rows) {
  const double left_out = mean_left_out(fit, rows);
  return std::to_string(rows.size()) + (rows.size() == 1 ? " row, " : " rows, ") +
         hundredths(mean_fitted(fit, rows)) + " % off on average" +
         (left_out < 0 ? std::string() : ", each left out in turn " + hundredths(left_out) + " %");
}

}  // namespace pregate::validation
