// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// CSV of llama.cpp's examples/moe-trace and its forks. Three forms, by their column names:
//   layer,expert                    one row a routed expert in the order of evaluation;
//   llama_layer_expert.cpp phase,token,layer,rank,expert   one row a routed expert; token is the position,
//   phase prefill or decode pos,layer,e0,e1,...             one row a position and layer; an empty cell or -1
//   is no expert
// In a prompt llama.cpp evaluates the last layer for the tokens whose output is wanted alone; the others are
// places without an expert.
#include <algorithm>
#include <filesystem>

#include "models/error.hpp"
#include "traces/import/llama_layer_expert.hpp"
#include "traces/import/ordered_records.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

enum class Form { none, layer_expert, by_rank, by_position };

Form form_of(std::string_view names) {
  if (!names.empty() && names.back() == '\r') names.remove_suffix(1);
  if (names == "layer,expert") return Form::layer_expert;
  if (names == "phase,token,layer,rank,expert") return Form::by_rank;
  constexpr std::string_view start = "pos,layer,e0";
  if (names.substr(0, start.size()) != start) return Form::none;
  std::vector<std::string_view> fields;
  split(names, ',', fields);
  for (std::size_t i = 2; i < fields.size(); ++i)
    if (fields[i] != "e" + std::to_string(i - 2)) return Form::none;
  return fields.size() - 2 <= static_cast<std::size_t>(max_top_k) ? Form::by_position : Form::none;
}

constexpr std::int64_t last_position = 1'000'000'000;

void read_by_rank(LineReader& lines, int stack, OrderedRecords& records) {
  std::string_view line;
  std::vector<std::string_view> fields;
  std::vector<std::uint16_t> ids;
  std::string where;
  PassBuilder::Record open;
  open.stack = stack;
  Phase phase = Phase::decode;
  const auto close = [&] {
    open.ids = ids;
    if (!ids.empty()) records.add(open, where, phase);
    ids.clear();
  };
  while (lines.next(line)) {
    if (line.empty()) continue;
    split(line, ',', fields);
    if (fields.size() != 5)
      throw InputError(lines.where(), std::to_string(fields.size()) + " fields instead of 5");
    const auto token = parse_integer(fields[1], 0, last_position, "token", lines);
    const auto layer = static_cast<int>(parse_integer(fields[2], 0, max_layers - 1, "layer", lines));
    const auto rank = static_cast<std::size_t>(parse_integer(fields[3], 0, max_top_k - 1, "rank", lines));
    const auto id = static_cast<std::uint16_t>(parse_integer(fields[4], 0, max_experts - 1, "expert", lines));
    if (fields[0] != "prefill" && fields[0] != "decode")
      throw InputError(lines.where(), "phase is '" + printable(fields[0], 40) + "'", "prefill or decode");
    const Phase of = fields[0] == "prefill" ? Phase::prefill : Phase::decode;
    if (rank == 0) {
      close();
      where = lines.where();
      open.token = token;
      open.layer = layer;
      phase = of;
    }
    if (rank != ids.size() || token != open.token || layer != open.layer || of != phase)
      throw InputError(lines.where(),
                       "rank " + std::to_string(rank) + " of token " + std::to_string(token) + ", layer " +
                           std::to_string(layer) + " does not follow the row before",
                       "a token's experts come in a row, from rank 0");
    ids.push_back(id);
  }
  close();
}

void read_by_position(LineReader& lines, std::size_t columns, int stack, OrderedRecords& records) {
  std::string_view line;
  std::vector<std::string_view> fields;
  std::vector<std::uint16_t> ids;
  while (lines.next(line)) {
    if (line.empty()) continue;
    split(line, ',', fields);
    if (fields.size() < 2 || fields.size() > columns)
      throw InputError(lines.where(),
                       std::to_string(fields.size()) + " fields instead of " + std::to_string(columns));
    const auto token = parse_integer(fields[0], 0, last_position, "pos", lines);
    const auto layer = static_cast<int>(parse_integer(fields[1], 0, max_layers - 1, "layer", lines));
    ids.clear();
    for (std::size_t i = 2; i < fields.size(); ++i) {
      const auto id = fields[i].empty() ? -1 : parse_integer(fields[i], -1, max_experts - 1, "expert", lines);
      ids.push_back(id < 0 ? no_expert : static_cast<std::uint16_t>(id));
    }
    records.add({.stack = stack, .layer = layer, .token = token, .ids = ids}, lines.where());
  }
}

void read_file(const std::string& path, int stack, OrderedRecords& records, RecordingFacts& facts,
               RecordingSink& sink) {
  LineReader lines(path);
  std::string_view line;
  while (lines.next(line) && (line.empty() || line[0] == '#')) {
  }
  switch (form_of(line)) {
    case Form::layer_expert:
      return read_layer_expert(path, records.builder(), facts, sink);
    case Form::by_rank:
      read_by_rank(lines, stack, records);
      return records.finish();
    case Form::by_position:
      read_by_position(lines, static_cast<std::size_t>(std::count(line.begin(), line.end(), ',')) + 1, stack,
                       records);
      return records.finish();
    case Form::none:
      throw InputError(path, "its column names are '" + printable(line) + "'",
                       "layer,expert or phase,token,layer,rank,expert or pos,layer,e0,e1,...");
  }
}

}  // namespace

bool is_llama_moe_trace(std::string_view start) {
  while (!start.empty() && start[0] == '#') {
    const std::size_t stop = start.find('\n');
    if (stop == std::string_view::npos) return false;
    start.remove_prefix(stop + 1);
  }
  return form_of(start.substr(0, start.find('\n'))) != Form::none;
}

void parse_llama_moe_trace(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink) {
  OrderedRecords records(facts, sink, OrderedRecords::Tokens::absolute, "request");
  const int stack = records.builder().stack("decoder");
  for (const std::string& input : inputs) read_file(input, stack, records, facts, sink);
  if (const std::string missing = records.builder().missing_note(); !missing.empty())
    facts.notes.push_back(missing);
}

}  // namespace pregate::trace
