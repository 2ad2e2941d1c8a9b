// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// One line a decoded token: seq,dataset,category,token,L0,L1,... with the experts of a layer in router order,
// separated by spaces. Lines that start with '#' before the column names are remarks.
#include <limits>

#include "models/error.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t fixed_columns = 4;

std::size_t read_columns(LineReader& lines, std::vector<std::string_view>& fields) {
  std::string_view line;
  while (lines.next(line)) {
    if (!line.empty() && line[0] == '#') continue;
    split(line, ',', fields);
    bool known = fields.size() > fixed_columns && fields[0] == "seq" && fields[1] == "dataset" &&
                 fields[2] == "category" && fields[3] == "token";
    for (std::size_t i = fixed_columns; known && i < fields.size(); ++i)
      known = fields[i] == "L" + std::to_string(i - fixed_columns);
    if (!known)
      throw InputError(lines.where(), "the column names are not seq,dataset,category,token,L0,L1,...");
    if (fields.size() - fixed_columns > static_cast<std::size_t>(max_layers))
      throw InputError(lines.where(), "over " + std::to_string(max_layers) + " layers");
    return fields.size() - fixed_columns;
  }
  throw InputError(lines.path(), "ends before the column names");
}

}  // namespace

void parse_gpt_oss_csv(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  std::size_t layers = 0;
  std::vector<std::string_view> fields, ids;
  std::vector<std::vector<std::uint16_t>> cells;
  RecordedStep step;
  for (const std::string& input : inputs) {
    LineReader lines(input);
    const std::size_t here = read_columns(lines, fields);
    if (layers == 0) {
      layers = here;
      facts.model = layers == 24 ? "gpt-oss-20b" : layers == 36 ? "gpt-oss-120b" : "";
      RecordingFacts::Stack stack{.name = "decoder", .layers = {}};
      for (std::size_t l = 0; l < layers; ++l) stack.layers.push_back({.index = static_cast<int>(l)});
      facts.stacks.push_back(std::move(stack));
      facts.notes.emplace_back("the recording holds decoded tokens only: no prefill is simulated");
    }
    if (here != layers)
      throw InputError(lines.where(),
                       std::to_string(here) + " layers, but the files before have " + std::to_string(layers));
    std::int64_t sequence = -1, position = 0;
    std::string_view line;
    while (lines.next(line)) {
      split(line, ',', fields);
      if (fields.size() != fixed_columns + layers)
        throw InputError(lines.where(), std::to_string(fields.size()) + " fields instead of " +
                                            std::to_string(fixed_columns + layers));
      const auto seq = parse_integer(fields[0], 0, std::numeric_limits<int>::max(), "seq", lines);
      const auto token = parse_integer(fields[3], 0, 1'000'000'000, "token", lines);
      if (seq < sequence)
        throw InputError(lines.where(),
                         "sequence " + std::to_string(seq) + " after sequence " + std::to_string(sequence),
                         "lines are out of order");
      if (seq != sequence) {
        sink.begin_request(std::string(fields[1]) + "/" + std::string(fields[2]), 1);
      } else if (token != position + 1) {
        throw InputError(lines.where(),
                         "token " + std::to_string(token) + " after token " + std::to_string(position),
                         "lines are missing or out of order");
      }
      sequence = seq;
      position = token;
      cells.assign(layers, {});
      std::size_t width = 1;
      for (std::size_t l = 0; l < layers; ++l) {
        if (fields[fixed_columns + l].empty()) continue;
        split(fields[fixed_columns + l], ' ', ids);
        if (ids.size() > static_cast<std::size_t>(max_top_k))
          throw InputError(lines.where(), std::to_string(ids.size()) + " experts in one cell");
        for (const std::string_view id : ids)
          cells[l].push_back(
              static_cast<std::uint16_t>(parse_integer(id, 0, max_experts - 1, "expert", lines)));
        width = std::max(width, ids.size());
      }
      step.shape(layers, 1, static_cast<int>(width), false, input);
      step.position = static_cast<int>(token);
      for (std::size_t l = 0; l < layers; ++l)
        for (std::size_t r = 0; r < cells[l].size(); ++r) step.experts[step.at(l, 0, r)] = cells[l][r];
      sink.add(step, lines.where());
    }
  }
}

}  // namespace pregate::trace
