// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The `route_trace v1` format of the BigMoeOnEdge recorder: a '#' preamble, then
// turn,phase,step,layer,slot,expert,weight,residency,expert_bytes with one row a routed expert.
#include <algorithm>
#include <filesystem>
#include <limits>

#include "models/error.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::string_view columns = "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes";

struct Preamble {
  std::string model;
  int layers = 0, experts = 0, experts_used = 0;
  std::vector<Bytes> expert_bytes;
};

struct Row {
  std::int64_t turn, step;
  int phase, layer, slot, expert;
  float weight;
};

/// The value of `key=` in a preamble line; empty when it is not there.
std::string_view value_of(std::string_view line, std::string_view key) {
  std::size_t at = 0;
  while ((at = line.find(key, at)) != std::string_view::npos) {
    const std::size_t after = at + key.size();
    if (at > 0 && line[at - 1] == ' ' && after < line.size() && line[after] == '=')
      return line.substr(after + 1, line.find(' ', after) - after - 1);
    at = after;
  }
  return {};
}

Preamble read_preamble(LineReader& lines) {
  Preamble preamble;
  std::string_view line;
  if (!lines.next(line) || line != "# route_trace v1")
    throw InputError(lines.path() + ":1", "the first line is not '# route_trace v1'");
  while (lines.next(line)) {
    if (line == columns) {
      if (preamble.layers == 0)
        throw InputError(lines.where(),
                         "no preamble line with n_layer, n_expert and n_expert_used before the rows");
      return preamble;
    }
    if (line.empty() || line[0] != '#')
      throw InputError(lines.where(), "neither a '#' line nor the column names",
                       "expected " + std::string(columns));
    if (const auto layers = value_of(line, "n_layer"); !layers.empty()) {
      preamble.layers = static_cast<int>(parse_integer(layers, 1, max_layers, "n_layer", lines));
      preamble.experts =
          static_cast<int>(parse_integer(value_of(line, "n_expert"), 1, max_experts, "n_expert", lines));
      preamble.experts_used = static_cast<int>(
          parse_integer(value_of(line, "n_expert_used"), 1, max_top_k, "n_expert_used", lines));
      preamble.model = std::filesystem::path(value_of(line, "model")).stem().string();
      preamble.expert_bytes.resize(static_cast<std::size_t>(preamble.layers));
    } else if (const auto layer = value_of(line, "layer"); !layer.empty()) {
      const auto index = parse_integer(layer, 0, preamble.layers - 1, "layer", lines);
      preamble.expert_bytes[static_cast<std::size_t>(index)].count =
          parse_integer(value_of(line, "expert_bytes"), 0, std::int64_t{1} << 50, "expert_bytes", lines);
    }
  }
  throw InputError(lines.path(), "ends before the column names", "is the file truncated?");
}

/// Gathers the rows of one pass: the tokens of a prompt batch, which come layer by layer, or one decoded
/// token.
class Passes {
 public:
  Passes(const Preamble& preamble, RecordingSink& sink) : preamble_(preamble), sink_(sink) {}

  void add(const Row& row, const std::string& where) {
    if (!rows_.empty()) {
      const Row& last = rows_.back();
      if (row.turn < last.turn || (row.turn == last.turn && row.phase < last.phase))
        throw InputError(where, "turn " + std::to_string(row.turn) + " phase " + std::to_string(row.phase) +
                                    " after turn " + std::to_string(last.turn) + " phase " +
                                    std::to_string(last.phase));
      // A prompt longer than the recorder's batch starts again at the first layer.
      const bool next_prompt_batch = row.phase == 0 && row.layer < last.layer;
      const bool next_token = row.phase == 1 && row.step != last.step;
      if (row.turn != last.turn || row.phase != last.phase || next_prompt_batch || next_token) finish();
    }
    if (rows_.empty()) where_ = where;
    rows_.push_back(row);
    if (static_cast<std::int64_t>(rows_.size()) > max_rows)
      throw InputError(where, "a pass of too many rows");
  }

  void finish() {
    if (rows_.empty()) return;
    const Row& any = rows_.front();
    if (any.turn != turn_) {
      turn_ = any.turn;
      next_position_ = -1;
      sink_.begin_request("turn " + std::to_string(turn_), 1);
    }
    std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;
    for (const Row& row : rows_) {
      first = std::min(first, row.step);
      last = std::max(last, row.step);
    }
    const auto rows = static_cast<std::int64_t>(rows_.size());
    if (last - first >= rows)
      throw InputError(where_, "a pass from position " + std::to_string(first) + " to " +
                                   std::to_string(last) + " with only " + std::to_string(rows) + " rows");
    if (next_position_ >= 0 && first != next_position_)
      throw InputError(where_,
                       "a pass starts at position " + std::to_string(first) + ", expected " +
                           std::to_string(next_position_),
                       "rows are missing or out of order");
    next_position_ = last + 1;
    fill(first, last - first + 1);
    sink_.add(step_, where_);
    rows_.clear();
  }

 private:
  static constexpr std::int64_t max_rows = std::int64_t{1} << 25;

  void fill(std::int64_t first, std::int64_t tokens) {
    step_.shape(static_cast<std::size_t>(preamble_.layers), tokens, preamble_.experts_used, true, where_);
    step_.phase = rows_.front().phase == 0 ? Phase::prefill : Phase::decode;
    step_.position = static_cast<int>(first);
    std::vector<bool> seen(static_cast<std::size_t>(tokens), false);
    for (const Row& row : rows_) {
      const auto token = static_cast<std::size_t>(row.step - first);
      const std::size_t at =
          step_.at(static_cast<std::size_t>(row.layer), token, static_cast<std::size_t>(row.slot));
      if (step_.experts[at] != no_expert)
        throw InputError(where_, "in the pass that starts here, layer " + std::to_string(row.layer) +
                                     " step " + std::to_string(row.step) + " slot " +
                                     std::to_string(row.slot) + " occurs twice");
      step_.experts[at] = static_cast<std::uint16_t>(row.expert);
      step_.weights[at] = row.weight;
      seen[token] = true;
    }
    const auto gap = std::find(seen.begin(), seen.end(), false);
    if (gap != seen.end())
      throw InputError(where_, "in the pass that starts here, position " +
                                   std::to_string(first + (gap - seen.begin())) + " has no rows");
  }

  const Preamble& preamble_;
  RecordingSink& sink_;
  std::vector<Row> rows_;
  std::string where_;
  RecordedStep step_;
  std::int64_t turn_ = -1, next_position_ = -1;
};

Row parse_row(const std::vector<std::string_view>& fields, const Preamble& preamble,
              const LineReader& lines) {
  if (fields.size() != 9)
    throw InputError(lines.where(), std::to_string(fields.size()) + " fields instead of 9");
  Row row{};
  row.turn = parse_integer(fields[0], 0, 1'000'000'000, "turn", lines);
  row.phase = static_cast<int>(parse_integer(fields[1], 0, 1, "phase", lines));
  row.step = parse_integer(fields[2], 0, 1'000'000'000, "step", lines);
  row.layer = static_cast<int>(parse_integer(fields[3], 0, preamble.layers - 1, "layer", lines));
  row.slot = static_cast<int>(parse_integer(fields[4], 0, preamble.experts_used - 1, "slot", lines));
  row.expert = static_cast<int>(parse_integer(fields[5], 0, preamble.experts - 1, "expert", lines));
  row.weight = parse_weight(fields[6], lines);
  // The recorder's own cache (0 miss, 1 hit, 2 hit by speculation) and the bytes it read: checked, not kept.
  parse_integer(fields[7], 0, 2, "residency", lines);
  parse_integer(fields[8], 0, std::int64_t{1} << 50, "expert_bytes", lines);
  return row;
}

}  // namespace

void parse_route_trace(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  if (inputs.size() != 1)
    throw InputError(inputs[1], "one route_trace file makes one trace", "import the files one by one");
  LineReader lines(inputs.front());
  const Preamble preamble = read_preamble(lines);
  facts.model = preamble.model;
  facts.has_weights = true;
  facts.notes.push_back("recorded with " + std::to_string(preamble.experts_used) +
                        " experts a token, which the model may exceed; the trace's count is simulated");
  facts.notes.emplace_back("the recorder's own cache state (column residency) is not imported");
  RecordingFacts::Stack stack{.name = "decoder", .layers = {}};
  for (int l = 0; l < preamble.layers; ++l)
    stack.layers.push_back({.index = l,
                            .experts = preamble.experts,
                            .expert_bytes = preamble.expert_bytes[static_cast<std::size_t>(l)]});
  facts.stacks.push_back(std::move(stack));

  Passes passes(preamble, sink);
  std::string_view line;
  std::vector<std::string_view> fields;
  while (lines.next(line)) {
    split(line, ',', fields);
    passes.add(parse_row(fields, preamble, lines), lines.where());
  }
  passes.finish();
}

}  // namespace pregate::trace
