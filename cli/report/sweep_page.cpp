// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/report/sweep_page.hpp"

#include <algorithm>
#include <array>

#include "sim/report/text_table.hpp"
#include "sim/sweep/axis.hpp"
#include "validation/report/chart.hpp"
#include "validation/report/page.hpp"

namespace pregate::cli {

namespace {

namespace html = validation::html;
namespace svg = validation::svg;
using sim::three_digits;

constexpr std::array colours{svg::blue,   svg::vermilion, svg::green, svg::orange,
                             svg::purple, svg::sky,       svg::black};

double number_at(const std::string& value) {
  const auto at = sim::measure_of(value);
  return at ? at->number : 0;
}

/// A line a policy over the axis, a rule where the best one changes. Precondition: numbers that ascend.
std::string rates_along(const BestAlong& best) {
  constexpr double width = 860, height = 380, left = 64, right = 240, top = 40, bottom = height - 54;
  double most = 0;
  for (const sim::PolicyRates& rates : best.rates)
    for (const double rate : rates) most = std::max(most, rate);
  const svg::Axis x{number_at(best.values.front()), number_at(best.values.back()), left, width - right,
                    false};
  const svg::Axis y{0, most > 0 ? most * 1.06 : 1, bottom, top, false};
  const std::string unit = sim::measure_of(best.values.back())->unit;
  std::string picture =
      svg::begin(width, height, "tokens/s of each policy along " + best.axis) +
      svg::text(8, 18, "Tokens/s along " + best.axis, "start", "font-size=\"14\" font-weight=\"bold\"");
  for (const double tick : x.ticks()) {
    picture += svg::line(x.at(tick), top, x.at(tick), bottom, svg::rule_grey, 1);
    picture += svg::text(x.at(tick), bottom + 16, svg::label_of(tick), "middle");
  }
  for (const double tick : y.ticks()) {
    picture += svg::line(left, y.at(tick), width - right, y.at(tick), svg::rule_grey, 1);
    picture += svg::text(left - 6, y.at(tick) + 4, svg::label_of(tick), "end");
  }
  picture += svg::text((left + width - right) / 2, bottom + 36, best.axis + (unit.empty() ? "" : ", " + unit),
                       "middle");
  for (std::size_t i = 1; i < best.reigns.size(); ++i) {
    const double at = x.at(number_at(best.reigns[i].from));
    picture += svg::line(at, top, at, bottom, svg::axis_grey, 1);
    picture += svg::text(at, top - 5, best.reigns[i].from, "middle");
  }
  for (std::size_t policy = 0; policy < best.policies.size(); ++policy) {
    const char* const colour = colours[policy % colours.size()];
    const bool is_hollow = policy >= colours.size();
    for (std::size_t i = 0; i < best.values.size(); ++i) {
      const double rate = best.rates[i][policy];
      if (rate < 0) continue;
      const double at = x.at(number_at(best.values[i]));
      if (i > 0 && best.rates[i - 1][policy] >= 0)
        picture += svg::line(x.at(number_at(best.values[i - 1])), y.at(best.rates[i - 1][policy]), at,
                             y.at(rate), colour, 1.5);
      picture +=
          svg::dot(at, y.at(rate), colour, is_hollow, 3,
                   best.policies[policy] + ": " + three_digits(rate) + " tokens/s at " + best.values[i]);
    }
    const double row = top + 12 + 20 * static_cast<double>(policy);
    picture += svg::dot(width - right + 20, row - 4, colour, is_hollow, 4) +
               svg::text(width - right + 30, row, best.policies[policy], "start");
  }
  return picture + svg::end;
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

}  // namespace

std::string sweep_page(const SweepInputs& inputs, const SweepReport& report) {
  const std::string title = "Sweep of " + std::to_string(report.points) + " points";
  std::string body = "<h1>" + html::escaped(title) + "</h1>\n<p>All figures are simulated.</p>\n";
  if (report.best_along) body += best_markup(*report.best_along);
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
  body += "<details><summary>In words</summary><pre>" + html::escaped(sweep_text(inputs, report)) +
          "</pre></details>\n<details><summary>All of it (JSON)</summary><pre>" +
          html::escaped(sweep_json(report)) + "</pre></details>\n";
  return html::page(title, body);
}

}  // namespace pregate::cli
