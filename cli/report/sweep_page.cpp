// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/sweep_page.hpp"

#include <algorithm>

#include "cli/report/line_chart.hpp"
#include "cli/report/sortable_table.hpp"
#include "cli/report/sweep_charts.hpp"
#include "sim/report/text_table.hpp"
#include "sim/sweep/axis.hpp"
#include "validation/report/page.hpp"

namespace pregate::cli {

namespace {

namespace html = validation::html;
using sim::three_digits;

double number_at(const std::string& value) {
  const auto at = sim::measure_of(value);
  return at ? at->number : 0;
}

/// A line a policy over the axis, a rule where the best one changes. Precondition: numbers that ascend.
std::string rates_along(const BestAlong& best) {
  std::vector<Series> series;
  for (const std::string& policy : best.policies) series.push_back({policy, {}});
  for (std::size_t i = 0; i < best.values.size(); ++i) {
    for (std::size_t policy = 0; policy < best.policies.size(); ++policy) {
      const double rate = best.rates[i][policy];
      if (rate < 0) continue;
      series[policy].points.push_back(
          {number_at(best.values[i]), rate,
           best.policies[policy] + ": " + three_digits(rate) + " tokens/s at " + best.values[i]});
    }
  }
  std::vector<Rule> rules;
  for (std::size_t i = 1; i < best.reigns.size(); ++i)
    rules.push_back({number_at(best.reigns[i].from), best.reigns[i].from});
  const std::string unit = sim::measure_of(best.values.back())->unit;
  return line_chart(
      {"Tokens/s along " + best.axis, best.axis + (unit.empty() ? "" : ", " + unit), "tokens/s"}, series,
      true, rules);
}

std::string best_markup(const BestAlong& best) {
  std::string text = "<h2>" + html::escaped("The best along " + best.axis) + "</h2>\n" +
                     html::table({"policy", "from", "to", "tokens/s there"});
  for (const sim::Reign& reign : best.reigns) {
    text += "<tr>" + html::cell(reign.policy ? best.policies[*reign.policy] : "nothing runs") +
            html::cell(reign.from, html::Align::number) + html::cell(reign.to, html::Align::number) +
            html::cell(reign.policy ? three_digits(reign.rate_from) : "-", html::Align::number) + "</tr>\n";
  }
  text += html::table_end;
  if (best.values.size() > 1 && sim::are_ascending_numbers(best.values))
    text += "<div class=\"wide\">" + rates_along(best) + "</div>\n";
  return text;
}

std::string wide(const std::string& picture) {
  return picture.empty() ? picture : "<div class=\"wide\">" + picture + "</div>\n";
}

/// `is_told`: the one axis of numbers is drawn already.
std::string pictures(const SweptPoints& swept, bool is_told) {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < swept.axes.size(); ++i)
    if (swept.axes[i].is_number) numbers.push_back(i);
  constexpr std::size_t most_axes = 6;
  if (numbers.size() > most_axes) numbers.resize(most_axes);
  std::string markup;
  if (!swept.is_sample && numbers.size() >= 2) markup += wide(heat_maps(swept, numbers[0], numbers[1]));
  if (!is_told)
    for (const std::size_t axis : numbers) markup += wide(rates_along_axis(swept, axis));
  for (const std::size_t axis : numbers)
    if (swept.axes[axis].key == "policy.cache.capacity") markup += wide(hits_along_axis(swept, axis));
  markup += wide(memory_of_points(swept));
  return markup;
}

std::string points_table(const SweptPoints& swept) {
  constexpr std::size_t most_rows = 500;
  std::vector<const SweptPoint*> order;
  for (const SweptPoint& point : swept.points) order.push_back(&point);
  std::stable_sort(order.begin(), order.end(), [](const SweptPoint* a, const SweptPoint* b) {
    return a->tokens_per_s > b->tokens_per_s;
  });
  const bool is_cut = order.size() > most_rows;
  if (is_cut) order.resize(most_rows);
  std::vector<std::string> head{"policy"};
  for (const SweptPoints::Axis& axis : swept.axes) head.push_back(axis.key);
  for (const char* name : {"tokens/s", "TTFT ms", "TPOT ms", "hits %", "GPU GiB", "bound by"})
    head.emplace_back(name);
  const auto digits = [](double value) { return value == value ? three_digits(value) : std::string("-"); };
  std::vector<std::vector<std::string>> rows;
  for (const SweptPoint* point : order) {
    std::vector<std::string> row{swept.policies[point->policy]};
    for (std::size_t i = 0; i < point->values.size(); ++i) {
      // A sample's values have twelve digits.
      const bool is_cut_short = swept.is_sample && swept.axes[i].is_number;
      row.push_back(is_cut_short ? three_digits(point->numbers[i]) + " " + swept.axes[i].unit
                                 : point->values[i]);
    }
    for (const double value :
         {point->tokens_per_s, point->ttft_ms, point->tpot_ms, 100 * point->hit_rate, point->gpu_gib})
      row.push_back(digits(value));
    row.push_back(point->bound_by);
    rows.push_back(std::move(row));
  }
  return "<h2>" + std::string(is_cut ? "The 500 points with the most tokens/s" : "Points") + "</h2>\n" +
         sortable_table(head, rows);
}

}  // namespace

std::string sweep_page(const SweepInputs& inputs, const SweepReport& report, const SweptPoints& swept) {
  const std::string title = "Sweep of " + std::to_string(report.points) + " points";
  std::string body = "<h1>" + html::escaped(title) + "</h1>\n<p>All figures are simulated.</p>\n";
  const auto best = std::max_element(
      swept.points.begin(), swept.points.end(),
      [](const SweptPoint& a, const SweptPoint& b) { return a.tokens_per_s < b.tokens_per_s; });
  if (best != swept.points.end()) {
    body += "<p>The most: " +
            html::escaped(three_digits(best->tokens_per_s) + " tokens/s with " +
                          swept.policies[best->policy] + " at " + settings_of(swept, *best)) +
            ".</p>\n";
  }
  if (report.best_along) body += best_markup(*report.best_along);
  if (swept.left_out > 0)
    body += "<p>Pictures show the first " + std::to_string(most_drawn_points) + " points.</p>\n";
  const bool is_told = report.best_along && report.best_along->values.size() > 1 &&
                       sim::are_ascending_numbers(report.best_along->values);
  body += pictures(swept, is_told);
  body += "<h2>Policies</h2>\n" +
          html::table({"policy", "points", "do not fit", "refused", "tokens/s from", "to"});
  for (const sim::PolicySummary& each : report.policies) {
    const bool ran = !each.best.empty();
    body += "<tr>" + html::cell(each.policy);
    for (const std::string& figure :
         {std::to_string(each.points), std::to_string(each.out_of_memory), std::to_string(each.refused),
          ran ? three_digits(each.least) : std::string("-"),
          ran ? three_digits(each.most) : std::string("-")})
      body += html::cell(figure, html::Align::number);
    body += "</tr>\n";
  }
  body += html::table_end;
  if (!swept.points.empty()) body += points_table(swept);
  body += "<details><summary>In words</summary><pre>" + html::escaped(sweep_text(inputs, report)) +
          "</pre></details>\n<details><summary>All of it (JSON)</summary><pre>" +
          html::escaped(sweep_json(report)) + "</pre></details>\n";
  return html::page(title, body);
}

}  // namespace pregate::cli
