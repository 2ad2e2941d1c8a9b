// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/error.hpp"
#include "sim/report/model_report.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {
namespace {

constexpr double kib = 1024, mib = 1024 * kib, gib = 1024 * mib;

std::string in(Bytes bytes, double unit) { return three_digits(static_cast<double>(bytes.count) / unit); }
std::string billions(double count) { return three_digits(count * 1e-9); }
std::string billions(std::int64_t count) { return billions(static_cast<double>(count)); }

std::string range(Bytes least, Bytes largest, double unit) {
  const std::string low = in(least, unit), high = in(largest, unit);
  return low == high ? high : low + " to " + high;
}

/// `text` in lines of at most `width` columns, all but the first indented.
std::string fold(const std::string& text, std::size_t width, const std::string& indent) {
  std::string lines, line;
  std::size_t from = 0;
  while (from < text.size()) {
    const std::size_t end = std::min(text.find(' ', from), text.size());
    const std::string word = text.substr(from, end - from);
    from = end + 1;
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      lines += line + "\n" + indent;
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return lines + line;
}

std::string heading(const ModelReport& report) {
  const ModelSpec& model = report.model;
  constexpr std::size_t most = 400;
  std::string text = printable(model.name) + " (" + printable(model.family) + ")\n";
  for (const std::string& line : {model.description, "source: " + model.source}) {
    if (line != "source: ") text += "  " + fold(printable(line, most), 76, "    ") + "\n";
  }
  return text;
}

std::string parameters(const ModelReport& report) {
  const ModelSpec& model = report.model;
  const std::int64_t total = model.parameter_count();
  const std::int64_t embeddings = model.embedding_parameter_count();
  const std::int64_t shared = model.shared_parameter_count();
  TextTable table({"parameters", "billion", "published"});
  const auto published = [](double count) { return count > 0 ? billions(count) : std::string("-"); };
  table.add({"total", billions(total), published(model.published_parameters)});
  table.add({"active a token", billions(model.active_parameter_count()), published(model.published_active)});
  table.add({"routed experts", billions(report.routed_parameters), ""});
  table.add({"shared experts", billions(shared), ""});
  table.add({"embeddings and head", billions(embeddings), ""});
  table.add({"rest (mixers, dense, routers)",
             billions(total - report.routed_parameters - shared - embeddings), ""});
  return table.text();
}

/// Two stacks are told apart; one is not named.
std::string in_stack(const ModelReport& report, const std::string& stack) {
  return report.model.stacks.size() > 1 ? stack + " " : "";
}

std::string layers(const ModelReport& report) {
  std::size_t all = 0;
  for (const Stack& stack : report.model.stacks) all += stack.layers.size();
  std::string text = std::to_string(all) + " layers\n";
  const auto line = [&](int count, const std::string& stack, const std::string& words) {
    const std::string number = std::to_string(count);
    text += std::string(number.size() < 6 ? 6 - number.size() : 0, ' ') + number + "  " +
            fold(in_stack(report, stack) + words, 72, "          ") + "\n";
  };
  for (const MixerGroup& group : report.mixers) line(group.layers, group.stack, describe_mixer(group.mixer));
  for (const FeedForwardGroup& group : report.feed_forwards)
    line(group.layers, group.stack, describe_feed_forward(group.feed_forward));
  return text;
}

std::string cache(const ModelReport& report) {
  TextTable table({"cache of one sequence", "layers", "window", "KiB/token", "state MiB", "all MiB"});
  Bytes per_token, state, total;
  for (const MixerGroup& group : report.mixers) {
    if (group.stack != "decoder") continue;
    table.add({to_string(group.mixer.kind), std::to_string(group.layers),
               group.mixer.window > 0 ? std::to_string(group.mixer.window) : "-",
               in(group.per_token * group.layers, kib), in(group.state * group.layers, mib),
               in(group.at_context, mib)});
    per_token += group.per_token * group.layers;
    state += group.state * group.layers;
    total += group.at_context;
  }
  table.add({"all", "", "", in(per_token, kib), in(state, mib), in(total, mib)});
  return table.text() + "after " + std::to_string(report.context) + " tokens, in " +
         report.model.kv_format.name + " (states in their own precision)\n";
}

std::string formats(const ModelReport& report) {
  TextTable table({"stored", "GiB", "format"});
  Bytes total;
  for (const PartSize& part : report.parts) {
    std::string names;
    constexpr std::size_t most = 4;
    for (std::size_t i = 0; i < part.formats.size() && i < most; ++i)
      names += (i > 0 ? ", " : "") + part.formats[i];
    if (part.formats.size() > most) names += ", ...";
    table.add({part.part, in(part.bytes, gib), names});
    total += part.bytes;
  }
  table.add({"all", in(total, gib), ""});
  return table.text() + "one expert: " + range(report.least_expert, report.largest_expert, mib) + " MiB\n";
}

}  // namespace

std::string model_text(const ModelReport& report) {
  std::string text = heading(report) + "\n" + parameters(report) + "\n" + layers(report) + "\n" +
                     cache(report) + "\n" + formats(report);
  for (const std::string& part : report.model.left_out)
    text += fold("left out: " + printable(part, 200), 78, "  ") + "\n";
  return text;
}

}  // namespace pregate::sim
