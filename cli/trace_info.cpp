// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "cli/command.hpp"
#include "models/error.hpp"
#include "models/input_file.hpp"
#include "sim/report/text_table.hpp"
#include "traces/reader.hpp"
#include "traces/statistics.hpp"

namespace pregate::cli {

namespace {

using sim::three_digits;

/// A text of the trace on one line: its lines joined, control characters and what is not ASCII replaced.
std::string one_line(const std::string& text) {
  std::string line;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    line += (line.empty() ? "" : ", ") + printable(std::string_view(text).substr(begin, end - begin), 400);
    begin = end + 1;
  }
  return line;
}

std::string predictions(const trace::TraceInfo& info) {
  if (!info.has_predictions) return "no";
  std::string distances;
  for (const int distance : info.prediction_distances())
    distances += (distances.empty() ? "" : ", ") + std::to_string(distance);
  return distances + " MoE layers ahead" +
         (info.predicted_by.empty() ? "" : ", by " + printable(info.predicted_by, 64));
}

std::string summary(const trace::TraceStatistics& statistics, const std::string& path) {
  const trace::TraceInfo& info = statistics.info;
  std::string text = path + "\n  model            " +
                     (info.model.empty() ? "(not recorded)" : printable(info.model, 200)) + "\n";
  text += "  requests         " + std::to_string(info.requests) + "\n";
  text += "  steps            " + std::to_string(info.steps) + "\n";
  text += "  tokens           " + std::to_string(info.tokens) + " (encoder " +
          std::to_string(statistics.encoder_tokens) + ", prefill " +
          std::to_string(statistics.prefill_tokens) + ", decode " + std::to_string(statistics.decode_tokens) +
          ")\n";
  text += "  routed entries   " + std::to_string(info.routed_entries) + "\n";
  text += "  MoE layers       " + std::to_string(info.layers.size()) + "\n";
  if (info.model_top_k > 0) text += "  model top-k      " + std::to_string(info.model_top_k) + "\n";
  text += std::string("  gate weights     ") + (info.has_weights ? "yes" : "no") + "\n";
  text += "  predictions      " + predictions(info) + "\n";
  text += "  content hash     " + printable(info.content_hash, 64) + "\n";
  for (const auto& [key, value] : info.provenance)
    text += "  provenance       " + printable(key) + ": " + one_line(value) + "\n";
  return text;
}

std::string layer_table(const trace::TraceStatistics& statistics) {
  sim::TextTable table({"layer", "experts", "top-k", "distinct", "activated", "entropy", "top 10 %", "lag-1",
                        "distant", "cross-layer"});
  const auto row = [&](const std::string& name, const trace::LayerStatistics& s) {
    table.add({name, std::to_string(s.layer.experts), std::to_string(s.layer.top_k),
               std::to_string(s.distinct_experts), three_digits(s.mean_activated),
               three_digits(s.popularity_entropy), three_digits(s.top_share), three_digits(s.lag1_overlap),
               three_digits(s.distant_overlap), three_digits(s.cross_layer_repeat)});
  };
  for (const trace::LayerStatistics& layer : statistics.layers) {
    if (layer.mean_activated == 0) continue;  // no decode step: nothing to say here
    row(printable(statistics.info.stacks[static_cast<std::size_t>(layer.layer.stack)]) + " " +
            std::to_string(layer.layer.layer),
        layer);
  }
  table.add({"mean of decode", "", "", three_digits(statistics.distinct_experts),
             three_digits(statistics.mean_activated), three_digits(statistics.popularity_entropy),
             three_digits(statistics.top_share), three_digits(statistics.lag1_overlap),
             three_digits(statistics.distant_overlap), three_digits(statistics.cross_layer_repeat)});
  return table.text();
}

}  // namespace

ExitCode trace_info(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()("trace", po::value<std::string>(), "trace database");
  const Parsed parsed = parse("pregate trace info TRACE.db", options, arguments, "trace", 1);
  if (parsed.help) return 0;
  if (!parsed.has("trace"))
    throw InputError("pregate trace info", "no trace given", "usage: pregate trace info TRACE.db");
  const std::string path = parsed.text("trace");
  const auto source = trace::open_trace(path);
  const trace::TraceStatistics statistics = trace::measure(*source);
  print(summary(statistics, path) + "\nDecode steps, by MoE layer (definitions: docs/traces.md)\n" +
        layer_table(statistics));
  return 0;
}

ExitCode trace_check(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()("trace", po::value<std::string>(), "trace database");
  const Parsed parsed = parse("pregate trace check TRACE.db", options, arguments, "trace", 1);
  if (parsed.help) return 0;
  if (!parsed.has("trace"))
    throw InputError("pregate trace check", "no trace given", "usage: pregate trace check TRACE.db");
  const std::string path = parsed.text("trace");
  if (is_absent(path)) {
    throw InputError(path, "no such file", "a trace database is made by 'pregate trace import'");
  }
  const std::vector<std::string> faults = trace::check(path);
  if (faults.empty()) {
    print(path + ": sound\n");
    return 0;
  }
  std::string text;
  for (const std::string& fault : faults) {
    text += (fault.starts_with(path + ":") ? fault : path + ": " + fault) + "\n";
  }
  print(text);
  return 1;
}

}  // namespace pregate::cli
