// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

struct Format {
  const char* name;
  const char* description;
  /// Whether a file that starts with this text is of the format.
  bool (*recognises)(std::string_view start);
  /// nullptr: our own JSONL.
  void (*parse)(const std::vector<std::string>&, RecordingFacts&, RecordingSink&);
};

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

/// The first line that is no remark.
std::string_view first_line(std::string_view start) {
  while (!start.empty() && start[0] == '#') {
    const std::size_t stop = start.find('\n');
    if (stop == std::string_view::npos) return {};
    start.remove_prefix(stop + 1);
  }
  return start.substr(0, start.find('\n'));
}

bool is_json(std::string_view start) {
  const std::size_t at = start.find_first_not_of(" \t\r\n");
  return at != std::string_view::npos && start[at] == '{';
}

bool is_our_jsonl(std::string_view start) {
  return is_json(start) && first_line(start).find("\"pregate-trace\"") != std::string_view::npos;
}

constexpr Format formats[] = {
    {"switch-lines",
     "lines 'permuted_experts_ id id ...' of the Pre-gated MoE artifact (Switch-Transformers)",
     [](std::string_view start) { return starts_with(start, "permuted_experts_"); }, &parse_switch_lines},
    {"route-trace-v1", "'# route_trace v1' CSV of the BigMoeOnEdge recorder, one row a routed expert",
     [](std::string_view start) { return starts_with(start, "# route_trace v1"); }, &parse_route_trace},
    {"gpt-oss-csv",
     "CSV seq,dataset,category,token,L0,L1,...: one line a token, a cell holds a layer's experts",
     [](std::string_view start) { return starts_with(first_line(start), "seq,dataset,category,token,L0"); },
     &parse_gpt_oss_csv},
    {"gpt-oss-json",
     "JSON with router_data: token_P: layer_L: selected_experts, selected_probs; a file a request",
     [](std::string_view start) { return is_json(start) && !is_our_jsonl(start); }, &parse_gpt_oss_json},
    {"jsonl", "pregate's own text form, as 'trace export' writes it (docs/traces.md)", &is_our_jsonl,
     nullptr},
};

const Format& detect(const std::string& path) {
  TextInput input(path);
  std::string start(1U << 16U, '\0');
  std::size_t size = 0;
  while (size < start.size()) {
    const std::size_t got = input.read(start.data() + size, start.size() - size);
    if (got == 0) break;
    size += got;
  }
  start.resize(size);
  if (start.empty()) throw InputError(path, "is empty");
  if (starts_with(start, "SQLite format 3")) throw InputError(path, "is a database already, not a recording");
  for (const Format& format : formats)
    if (format.recognises(start)) return format;
  std::string known;
  for (const Format& format : formats) known += (known.empty() ? "" : ", ") + std::string(format.name);
  throw InputError(path, "is in no format that is known", "known: " + known);
}

const Format& by_name(const std::string& name) {
  std::vector<std::string> names;
  for (const Format& format : formats) {
    if (name == format.name) return format;
    names.emplace_back(format.name);
  }
  throw InputError("format", "no format named '" + name + "'", suggest(name, names));
}

}  // namespace

std::vector<FormatDescription> import_formats() {
  std::vector<FormatDescription> descriptions;
  for (const Format& format : formats) descriptions.push_back({format.name, format.description});
  return descriptions;
}

ImportResult import_trace(const std::vector<std::string>& inputs, const std::string& output,
                          const ImportOptions& options) {
  if (inputs.empty()) throw InputError("import", "no file is named");
  if (options.experts < 0 || options.experts > max_experts)
    throw InputError("experts", std::to_string(options.experts) + " experts a layer",
                     "a layer has 1 to " + std::to_string(max_experts));
  const Format& format = options.format.empty() ? detect(inputs.front()) : by_name(options.format);
  if (options.format.empty())
    for (const std::string& input : inputs)
      if (const Format& other = detect(input); &other != &format)
        throw InputError(input,
                         std::string("is ") + other.name + ", but the files before are " + format.name);
  if (format.parse == nullptr) return import_jsonl(inputs, output, options);
  return import_recording(format.parse, inputs, output, options, format.name);
}

}  // namespace pregate::trace
