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

std::string best_markup(const BestAlong& best) {
  std::string text = "<h2>" + html::escaped("The best along " + best.axis) + "</h2>\n" +
                     html::table({"policy", "from", "to", "tokens/s there"});
  for (const sim::Reign& reign : best.reigns) {
    text += "<tr>" + html::cell(reign.policy ? best.policies[*reign.policy] : "nothing runs") +
            html::cell(reign.from, html::Align::number) + html::cell(reign.to, html::Align::number) +
            html::cell(reign.policy ? three_digits(reign.rate_from) : "-", html::Align::number) + "</tr>\n";
  }
  return text + html::table_end;
}

/// A rule where the best policy changes, of an axis of numbers that ascend.
std::vector<Rule> rules_of(const std::optional<BestAlong>& best) {
  std::vector<Rule> rules;
  if (!best || !sim::are_ascending_numbers(best->values)) return rules;
  for (std::size_t i = 1; i < best->reigns.size(); ++i)
    rules.push_back({number_at(best->reigns[i].from), best->reigns[i].from});
  return rules;
}

std::string wide(const std::string& picture) {
  return picture.empty() ? picture : "<div class=\"wide\">" + picture + "</div>\n";
}

/// Hit rates over the capacities of caches, what bounds them, and what is to be said of that.
std::string hits_markup(const SweepInputs& inputs, const SweptPoints& swept, std::size_t axis, int threads) {
  const HitBounds bounds = hit_bounds(inputs, swept, axis, threads);
  std::string markup = wide(hits_along_axis(swept, axis, bounds));
  if (markup.empty()) return markup;
  if (!bounds.lines.empty())
    markup +=
        "<p>Belady bound: the most hits of decode steps that a cache of that size can have, whoever leaves "
        "it, when only activated experts come in; from a replay of the trace that knows the future.</p>\n";
  std::vector<std::string> missing;
  for (const std::string& each : bounds.missing) missing.push_back("no Belady bound: " + each);
  return markup + html::list("Not drawn", missing);
}

std::string pictures(const SweepInputs& inputs, const SweptPoints& swept, const std::vector<Rule>& rules,
                     int threads) {
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < swept.axes.size(); ++i)
    if (swept.axes[i].is_number) numbers.push_back(i);
  constexpr std::size_t most_axes = 6;
  if (numbers.size() > most_axes) numbers.resize(most_axes);
  std::string markup;
  if (!swept.is_sample && numbers.size() >= 2) markup += wide(heat_maps(swept, numbers[0], numbers[1]));
  for (const std::size_t axis : numbers) markup += wide(rates_along_axis(swept, axis, rules));
  for (const std::size_t axis : numbers)
    if (swept.axes[axis].key == "policy.cache.capacity") markup += hits_markup(inputs, swept, axis, threads);
  return markup + wide(memory_of_points(swept));
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

std::string sweep_page(const SweepInputs& inputs, const SweepReport& report, const SweptPoints& swept,
                       int threads) {
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
  body += pictures(inputs, swept, rules_of(report.best_along), threads);
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
