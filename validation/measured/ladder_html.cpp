// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "validation/measured/ladder_report.hpp"

namespace pregate::validation {

namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string fixed(double value, int decimals = 1) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

constexpr const char* style =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:right}"
    "th:nth-child(2),td:nth-child(2){text-align:left}.FAIL{color:#b00020;font-weight:600}.pass{color:#1b7f3b}"
    ".undecidable{color:#8a6d00}svg{max-width:100%;height:auto}svg text{font:11px system-ui,sans-serif}";

/// Round numbers within the range of a logarithmic axis, about as many as have room for a label.
std::vector<double> ticks(double least, double most) {
  std::vector<double> result;
  if (most / least < 8) {  // few powers of ten in it: multiples of a round step
    const double decade = std::pow(10, std::floor(std::log10((most - least) / 6)));
    double step = 10 * decade;
    for (const double smaller : {5 * decade, 2 * decade}) {
      if ((most - least) / smaller <= 6) step = smaller;
    }
    for (double tick = std::ceil(least / step) * step; tick <= most; tick += step) result.push_back(tick);
    return result;
  }
  const bool is_wide = most / least > 300;
  for (double decade = std::pow(10, std::floor(std::log10(least))); decade <= most; decade *= 10) {
    for (const double tick : {decade, 2 * decade, 5 * decade}) {
      if (tick >= least && tick <= most && (!is_wide || tick == decade)) result.push_back(tick);
    }
  }
  return result;
}

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
  constexpr double size = 380, margin = 52;
  const auto place = [&](double value) { return size * std::log(value / least) / std::log(most / least); };
  const auto x = [&](double value) { return fixed(margin + place(value)); };
  const auto y = [&](double value) { return fixed(10 + size - place(value)); };
  std::string svg =
      "<svg viewBox=\"0 0 460 450\" width=\"460\" role=\"img\" aria-label=\"predicted against measured, " +
      escaped(metric) + "\">";
  svg += "<rect x=\"52\" y=\"10\" width=\"380\" height=\"380\" fill=\"none\" stroke=\"#999\"/>";
  const auto diagonal = [&](double factor, const char* colour) {
    const double from = factor > 1 ? least : least / factor, to = factor > 1 ? most / factor : most;
    svg += "<line x1=\"" + x(from) + "\" y1=\"" + y(from * factor) + "\" x2=\"" + x(to) + "\" y2=\"" +
           y(to * factor) + "\" stroke=\"" + colour + "\"/>";
  };
  diagonal(1, "#555");
  diagonal(1.1, "#ccc");
  diagonal(1 / 1.1, "#ccc");
  for (const double tick : ticks(least, most)) {
    char label[32];
    std::snprintf(label, sizeof label, "%g", tick);
    svg += "<text x=\"" + x(tick) + "\" y=\"406\" text-anchor=\"middle\">" + label +
           "</text><text x=\"46\" y=\"" + y(tick) + "\" text-anchor=\"end\">" + label + "</text>";
  }
  for (const LadderRow* row : rows) {
    svg += "<circle cx=\"" + x(row->measured) + "\" cy=\"" + y(row->predicted) + "\" r=\"4\" fill=\"" +
           (row->decidable ? "#1f6feb" : "#bbb") + "\" fill-opacity=\".7\"><title>" + escaped(row->what) +
           ": " + fixed(row->error()) + " %</title></circle>";
  }
  svg += "<text x=\"242\" y=\"428\" text-anchor=\"middle\">measured " + escaped(metric) +
         "</text><text transform=\"translate(12 200) rotate(-90)\" text-anchor=\"middle\">predicted " +
         escaped(metric) + "</text></svg>";
  return svg;
}

const char* colour(sim::OpKind kind) {
  switch (kind) {
    case sim::OpKind::fetch:
    case sim::OpKind::write_back:
    case sim::OpKind::device_copy:
      return "#d9822b";
    case sim::OpKind::experts:
      return "#1f6feb";
    case sim::OpKind::gate:
    case sim::OpKind::gate_readback:
      return "#8250df";
    default:
      return "#2da44e";
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
  std::string svg = "<svg viewBox=\"0 0 960 150\" width=\"960\" role=\"img\" aria-label=\"timelines of " +
                    escaped(pair.what) + "\">";
  double top = 4;
  for (const auto& [name, timeline] :
       {std::pair{"simulated", &pair.simulated}, std::pair{"measured", &pair.measured}}) {
    const double begin = begin_of(*timeline);
    for (const char* label : {"compute", "h2d", "d2h"}) {
      const std::optional<sim::StreamId> stream = pair.schedule.platform.stream_named(label);
      svg += "<text x=\"4\" y=\"" + fixed(top + 12) + "\">" + name + " " + label + "</text>";
      for (sim::OpId id = 0; id < count; ++id) {
        const sim::Operation& operation = pair.schedule.operation(id);
        if (operation.stream != stream || operation.step != step) continue;
        const double from = timeline->start[static_cast<std::size_t>(id)].milliseconds() - begin;
        const double to = timeline->finish[static_cast<std::size_t>(id)].milliseconds() - begin;
        svg += "<rect x=\"" + fixed(left + width * from / longest, 2) + "\" y=\"" + fixed(top) +
               "\" width=\"" + fixed(std::max(0.2, width * (to - from) / longest), 2) +
               "\" height=\"13\" fill=\"" + colour(operation.kind) + "\"/>";
      }
      top += lane;
    }
    top += 8;
  }
  svg += "<text x=\"120\" y=\"" + fixed(top + 12) + "\">0 ms</text><text x=\"940\" y=\"" + fixed(top + 12) +
         "\" text-anchor=\"end\">" + fixed(longest, 2) + " ms</text></svg>";
  return svg;
}

}  // namespace

std::string ladder_html(const LadderResult& result) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>pregate validate: " +
      escaped(result.model) + " on " + escaped(result.device) + "</title><style>" + style +
      "</style></head><body>\n<h1>Simulated against measured</h1>\n<p>" + escaped(result.model) + " on " +
      escaped(result.device) + ", machine file " + escaped(result.machine) + ", trace " +
      escaped(result.trace) + ".</p>\n";
  html +=
      "<table><tr><th>tier</th><th>gate</th><th>figure</th><th>rows</th><th>undecidable</th><th>verdict</"
      "th></tr>\n";
  for (const TierResult& tier : result.tiers)
    html += "<tr><td>" + std::to_string(tier.tier) + "</td><td>" + escaped(tier.gate) + "</td><td>" +
            figure_text(tier) + "</td><td>" + std::to_string(tier.rows) + "</td><td>" +
            std::to_string(tier.undecidable) + "</td><td class=\"" + to_string(tier.verdict) + "\">" +
            to_string(tier.verdict) + "</td></tr>\n";
  html +=
      "</table>\n<h2>Predicted against measured</h2>\n<p>The line is equality, the pale ones ten per cent "
      "off it; "
      "grey points spread more than their gate from repeat to repeat.</p>\n";
  html += scatter(result, 3, "tokens/s") + scatter(result, 2, "block latency ms") + scatter(result, 1, "us");
  html +=
      "\n<h2>One step, both timelines</h2>\n<p>Green: attention, dense layers and head; violet: gate and its "
      "read-back; blue: experts; orange: copies.</p>\n";
  for (const TimelinePair& pair : result.timelines)
    html += "<h3>" + escaped(pair.what) + "</h3>\n" + timelines(pair) + "\n";
  html +=
      "<h2>All "
      "rows</h2>\n<table><tr><th>tier</th><th>what</th><th>metric</th><th>predicted</th><th>measured</th>"
      "<th>error %</th><th>spread %</th></tr>\n";
  for (const LadderRow& row : result.rows)
    html += "<tr><td>" + std::to_string(row.tier) + "</td><td>" + escaped(row.what) + "</td><td>" +
            escaped(row.metric) + "</td><td>" + fixed(row.predicted, 3) + "</td><td>" +
            fixed(row.measured, 3) + "</td><td>" + fixed(row.error()) + "</td><td" +
            (row.decidable ? ">" : " class=\"undecidable\">") + fixed(row.spread) + "</td></tr>\n";
  html +=
      "</table>\n<h2>By operation</h2>\n<p>Mean time of an operation until it lets its successors start; "
      "measured is the median of the repeats.</p>\n<table><tr><th>a "
      "run</th><th>what</th><th>operation</th><th>predicted us</th><th>measured us</th></tr>\n";
  for (const OperationRow& row : result.operations)
    html += "<tr><td>" + std::to_string(row.count) + "</td><td>" + escaped(row.what) + "</td><td>" +
            escaped(row.kind) + "</td><td>" + fixed(row.predicted_us) + "</td><td>" + fixed(row.measured_us) +
            "</td></tr>\n";
  html += "</table>\n<ul>\n";
  for (const std::string& note : result.notes) html += "<li>" + escaped(note) + "</li>\n";
  return html +
         "<li>The runtime does not execute attention's scores over the KV cache; the simulation leaves them "
         "out "
         "here.</li>\n</ul></body></html>\n";
}

}  // namespace pregate::validation
