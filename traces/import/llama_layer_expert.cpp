// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/llama_layer_expert.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

#include "models/error.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t most_rows = std::size_t{1} << 25;  ///< of one pass

/// The rows of one layer in one pass.
struct Run {
  int layer = 0;
  std::int64_t line = 0;
  std::vector<std::uint16_t> ids;
};
using Pass = std::vector<Run>;

void read_passes(const std::string& path, const std::function<void(const Pass&)>& use) {
  LineReader lines(path);
  std::string_view line;
  std::vector<std::string_view> fields;
  while (lines.next(line) && (line.empty() || line[0] == '#')) {
  }
  Pass pass;
  std::size_t rows = 0;
  while (lines.next(line)) {
    if (line.empty()) continue;
    split(line, ',', fields);
    if (fields.size() != 2)
      throw InputError(lines.where(), std::to_string(fields.size()) + " fields instead of 2");
    const auto layer = static_cast<int>(parse_integer(fields[0], 0, max_layers - 1, "layer", lines));
    const auto id = static_cast<std::uint16_t>(parse_integer(fields[1], 0, max_experts - 1, "expert", lines));
    if (!pass.empty() && layer < pass.back().layer) {
      use(pass);
      pass.clear();
      rows = 0;
    }
    if (pass.empty() || layer != pass.back().layer) pass.push_back({layer, lines.number(), {}});
    pass.back().ids.push_back(id);
    if (++rows > most_rows) throw InputError(lines.where(), "a pass of too many rows");
  }
  if (!pass.empty()) use(pass);
}

/// Whether every layer holds whole permutations of all experts: llama.cpp's warm-up, which runs every expert.
bool is_warm_up(const Pass& pass, int experts) {
  std::vector<int> seen(static_cast<std::size_t>(experts), -1);
  return std::all_of(pass.begin(), pass.end(), [&](const Run& run) {
    if (run.ids.size() % seen.size() != 0) return false;
    seen.assign(seen.size(), -1);
    for (std::size_t i = 0; i < run.ids.size(); ++i) {
      const auto block = static_cast<int>(i / seen.size());
      if (seen[run.ids[i]] == block) return false;
      seen[run.ids[i]] = block;
    }
    return true;
  });
}

struct Shape {
  std::size_t fewest = 0;  ///< rows of a layer in any pass but a warm-up's
  int passes = 0, layers = 0, experts = 0;
  bool warm_up = false;
};

Shape shape_of(const std::string& path) {
  Shape shape;
  read_passes(path, [&](const Pass& pass) {
    for (const Run& run : pass)
      shape.experts = std::max(shape.experts, *std::max_element(run.ids.begin(), run.ids.end()) + 1);
  });
  std::size_t index = 0, first_rows = 0;
  bool first_is_warm_up = false;
  read_passes(path, [&](const Pass& pass) {
    shape.layers = std::max(shape.layers, static_cast<int>(pass.size()));
    const std::size_t fewest = std::min_element(pass.begin(), pass.end(), [](const Run& a, const Run& b) {
                                 return a.ids.size() < b.ids.size();
                               })->ids.size();
    if (index++ == 0) {
      first_rows = fewest;
      first_is_warm_up = is_warm_up(pass, shape.experts);
      return;
    }
    ++shape.passes;
    shape.fewest = shape.fewest == 0 ? fewest : std::min(shape.fewest, fewest);
  });
  // A pass of all experts is a warm-up where the others choose some.
  shape.warm_up = first_is_warm_up && shape.fewest > 0 && shape.fewest < first_rows;
  if (!shape.warm_up && first_rows > 0) {
    ++shape.passes;
    shape.fewest = shape.fewest == 0 ? first_rows : std::min(shape.fewest, first_rows);
  }
  return shape;
}

std::size_t rows_a_token(const std::string& path, const Shape& shape, RecordingFacts& facts) {
  const int known = facts.known.model_top_k;
  if (known > 0) {
    if (shape.fewest % static_cast<std::size_t>(known) != 0)
      throw InputError(path,
                       std::to_string(shape.fewest) + " rows of a layer in a pass are no whole number of " +
                           "tokens with " + std::to_string(known) + " experts each",
                       "is this a recording of another model?");
    return static_cast<std::size_t>(known);
  }
  if (shape.passes < 2 || shape.layers < 2 || shape.fewest > static_cast<std::size_t>(max_top_k))
    throw InputError(path,
                     "does not say how many experts a token uses, and " +
                         std::string(shape.layers < 2 ? "one layer" : "its passes") + " cannot tell",
                     "name the model: --model, as pregate list models has it");
  facts.notes.push_back("the recording does not say how many experts a token uses; " +
                        std::to_string(shape.fewest) +
                        " is the fewest rows of a layer in a pass (--model NAME makes it certain)");
  return shape.fewest;
}

}  // namespace

void read_layer_expert(const std::string& path, PassBuilder& builder, RecordingFacts& facts,
                       RecordingSink& sink) {
  const Shape shape = shape_of(path);
  if (shape.passes == 0) throw InputError(path, "holds no rows");
  const std::size_t top_k = rows_a_token(path, shape, facts);
  const int stack = builder.stack("decoder");
  if (shape.warm_up) facts.notes.emplace_back("the warm-up pass, which runs every expert, was left out");
  sink.begin_request(std::filesystem::path(path).filename().string(), 1);
  std::int64_t position = 0;
  bool first = true;
  read_passes(path, [&](const Pass& pass) {
    if (std::exchange(first, false) && shape.warm_up) return;
    std::size_t tokens = 0;
    for (const Run& run : pass) tokens = std::max(tokens, run.ids.size() / top_k);
    for (const Run& run : pass) {
      const std::string where = path + ":" + std::to_string(run.line);
      const std::size_t here = run.ids.size() / top_k;
      // The last layer may run for the last tokens alone.
      if (run.ids.size() % top_k != 0 || (here != tokens && &run != &pass.back()))
        throw InputError(where,
                         std::to_string(run.ids.size()) + " rows of layer " + std::to_string(run.layer) +
                             ", where the pass has " + std::to_string(tokens) + " tokens of " +
                             std::to_string(top_k) + " experts",
                         "rows are missing, or --model names another model");
      for (std::size_t t = 0; t < here; ++t)
        builder.add({.stack = stack,
                     .layer = run.layer,
                     .token = position + static_cast<std::int64_t>(tokens - here + t),
                     .ids = {run.ids.data() + t * top_k, top_k}},
                    where);
    }
    builder.emit(
        {.phase = tokens > 1 ? Phase::prefill : Phase::decode, .sequences = 1, .position = position});
    position += static_cast<std::int64_t>(tokens);
  });
}

}  // namespace pregate::trace
