// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "validation/calibration/ladder_report.hpp"
#include "validation/report/chart.hpp"
#include "validation/report/page.hpp"

namespace pregate::validation {

namespace {

using html::Align;
using html::cell;
using html::escaped;

/// Predicted against measured, both axes logarithmic, of the rows of one tier.
std::string scatter(const LadderResult& result, int tier, const std::string& metric) {
  std::vector<const LadderRow*> rows;
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (const LadderRow& row : result.rows) {
    if (row.tier != tier || row.metric != metric || row.measured <= 0 || row.predicted <= 0) continue;
    rows.push_back(&row);
    least = std::min({least, row.measured, row.predicted});
    most = std::max({most, row.measured, row.predicted});
  }
  if (rows.empty()) return {};
  least /= 1.3;
  most *= 1.3;
  constexpr double size = 380, left = 62, top = 10, bottom = top + size;
  const svg::Axis x{least, most, left, left + size, true}, y{least, most, bottom, top, true};
  std::string picture = svg::begin(470, 450, "predicted against measured, " + metric);
  for (const double tick : x.ticks()) {
    picture += svg::line(x.at(tick), top, x.at(tick), bottom, svg::rule_grey, 1) +
               svg::line(left, y.at(tick), left + size, y.at(tick), svg::rule_grey, 1) +
               svg::text(x.at(tick), bottom + 16, svg::label_of(tick), "middle") +
               svg::text(left - 6, y.at(tick) + 4, svg::label_of(tick), "end");
  }
  picture += svg::line(left, top, left, bottom, svg::axis_grey, 1) +
             svg::line(left, bottom, left + size, bottom, svg::axis_grey, 1);
  const auto diagonal = [&](double factor, const char* colour) {
    const double from = factor > 1 ? least : least / factor, to = factor > 1 ? most / factor : most;
    picture += svg::line(x.at(from), y.at(from * factor), x.at(to), y.at(to * factor), colour, 1);
  };
  diagonal(1.1, "#bbbbbb");
  diagonal(1 / 1.1, "#bbbbbb");
  diagonal(1, svg::axis_grey);
  for (const LadderRow* row : rows) {
    picture += svg::dot(x.at(row->measured), y.at(row->predicted), svg::blue, !row->decidable, 4,
                        row->what + ": " + svg::number(row->error()) + " %");
  }
  picture += svg::text(left + size / 2, bottom + 38, "measured " + metric, "middle") +
             svg::text(0, 0, "predicted " + metric, "middle",
                       "transform=\"translate(14 " + svg::number(top + size / 2) + ") rotate(-90)\"");
  return picture + svg::end;
}

const char* colour(sim::OpKind kind) {
  switch (kind) {
    case sim::OpKind::fetch:
    case sim::OpKind::write_back:
    case sim::OpKind::device_copy:
      return svg::orange;
    case sim::OpKind::experts:
      return svg::blue;
    case sim::OpKind::gate:
    case sim::OpKind::gate_readback:
      return svg::purple;
    default:
      return svg::green;
  }
}

/// One lane a stream, both timelines on one time axis. Shows the last recorded step: the first one is cold.
std::string timelines(const TimelinePair& pair) {
  const auto count = static_cast<sim::OpId>(pair.schedule.size());
  if (count == 0) return {};
  const std::int64_t step = pair.schedule.operation(count - 1).step;
  double longest = 0;
  const auto begin_of = [&](const sim::Timeline& timeline) {
    double begin = std::numeric_limits<double>::infinity();
    for (sim::OpId id = 0; id < count; ++id) {
      if (pair.schedule.operation(id).step == step)
        begin = std::min(begin, timeline.start[static_cast<std::size_t>(id)].milliseconds());
    }
    return begin;
  };
  for (const sim::Timeline* timeline : {&pair.simulated, &pair.measured}) {
    const double begin = begin_of(*timeline);
    for (sim::OpId id = 0; id < count; ++id) {
      if (pair.schedule.operation(id).step == step)
        longest = std::max(longest, timeline->finish[static_cast<std::size_t>(id)].milliseconds() - begin);
    }
  }
  constexpr double left = 120, width = 820, lane = 16;
  const svg::Axis x{0, longest > 0 ? longest : 1, left, left + width};
  std::string picture = svg::begin(960, 150, "timelines of " + pair.what);
  double top = 4;
  for (const auto& [name, timeline] :
       {std::pair{"simulated", &pair.simulated}, std::pair{"measured", &pair.measured}}) {
    const double begin = begin_of(*timeline);
    for (const char* label : {"compute", "h2d", "d2h"}) {
      const std::optional<sim::StreamId> stream = pair.schedule.platform.stream_named(label);
      picture += svg::text(4, top + 12, std::string(name) + " " + label, "start");
      for (sim::OpId id = 0; id < count; ++id) {
        const sim::Operation& operation = pair.schedule.operation(id);
        if (operation.stream != stream || operation.step != step) continue;
        const double from = x.at(timeline->start[static_cast<std::size_t>(id)].milliseconds() - begin);
        const double to = x.at(timeline->finish[static_cast<std::size_t>(id)].milliseconds() - begin);
        picture += svg::bar(from, top, std::max(0.2, to - from), 13, colour(operation.kind));
      }
      top += lane;
    }
    top += 8;
  }
  for (const double tick : x.ticks()) {
    picture += svg::line(x.at(tick), top - 6, x.at(tick), top - 1, svg::axis_grey, 1) +
               svg::text(x.at(tick), top + 12, svg::label_of(tick) + " ms", "middle");
  }
  picture += svg::line(left, top - 6, left + width, top - 6, svg::axis_grey, 1);
  return picture + svg::end;
}

std::string tiers(const LadderResult& result) {
  std::string text = html::table({"tier", "gate", "figure", "rows", "undecidable", "verdict"});
  for (const TierResult& tier : result.tiers) {
    text += "<tr>" + cell(std::to_string(tier.tier)) + cell(tier.gate) +
            cell(figure_text(tier), Align::number) + cell(std::to_string(tier.rows), Align::number) +
            cell(std::to_string(tier.undecidable), Align::number) +
            html::cell_of_class(to_string(tier.verdict), to_string(tier.verdict)) + "</tr>\n";
  }
  return text + html::table_end;
}

std::string rows(const LadderResult& result) {
  std::string text = html::table({"tier", "what", "metric", "predicted", "measured", "error %", "spread %"});
  for (const LadderRow& row : result.rows) {
    text += "<tr>" + cell(std::to_string(row.tier)) + cell(row.what) + cell(row.metric) +
            cell(svg::number(row.predicted, 3), Align::number) +
            cell(svg::number(row.measured, 3), Align::number) +
            cell(svg::number(row.error()), Align::number) +
            (row.decidable ? cell(svg::number(row.spread), Align::number)
                           : html::cell_of_class("n undecidable", svg::number(row.spread))) +
            "</tr>\n";
  }
  return text + html::table_end;
}

std::string operations(const LadderResult& result) {
  std::string text = html::table({"a run", "what", "operation", "predicted us", "measured us"});
  for (const OperationRow& row : result.operations) {
    text += "<tr>" + cell(std::to_string(row.count), Align::number) + cell(row.what) + cell(row.kind) +
            cell(svg::number(row.predicted_us), Align::number) +
            cell(svg::number(row.measured_us), Align::number) + "</tr>\n";
  }
  return text + html::table_end;
}

}  // namespace

std::string ladder_html(const LadderResult& result) {
  std::string body = "<h1>Simulated against measured</h1>\n<p>" + escaped(result.model) + " on " +
                     escaped(result.device) + ", machine file " + escaped(result.machine) + ", trace " +
                     escaped(result.trace) + ".</p>\n" + tiers(result);
  body +=
      "<h2>Predicted against measured</h2>\n<p>The dark line is equality, the pale ones ten per cent off it; "
      "hollow points spread more than their gate from repeat to repeat.</p>\n";
  body += scatter(result, 3, "tokens/s") + scatter(result, 2, "block latency ms") + scatter(result, 1, "us");
  body +=
      "<h2>One step, both timelines</h2>\n<p>Green: attention, dense layers and head; purple: gate and its "
      "read-back; blue: experts; orange: copies.</p>\n";
  for (const TimelinePair& pair : result.timelines)
    body += "<h3>" + escaped(pair.what) + "</h3>\n" + timelines(pair);
  body += "<h2>All rows</h2>\n" + rows(result);
  body +=
      "<h2>By operation</h2>\n<p>Mean time of an operation until it lets its successors start; measured is "
      "the "
      "median of the repeats.</p>\n" +
      operations(result);
  std::vector<std::string> notes = result.notes;
  notes.push_back(attention_note(result));
  body += html::list("Notes", notes);
  return html::page("pregate validate: " + result.model + " on " + result.device, body);
}

}  // namespace pregate::validation
