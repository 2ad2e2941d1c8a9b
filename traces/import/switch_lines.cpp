// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Lines `permuted_experts_ id id ...` printed by the Pre-gated MoE artifact: one line a MoE-layer call of
// Switch-Transformers, ids sorted. A run is one encoder pass (one long line a layer), then decode steps (one
// short line a layer, with as many ids as the batch has sequences). The file says nothing else, so the shape
// is read off the lengths of the lines; whatever does not divide is refused.
#include <algorithm>
#include <filesystem>
#include <numeric>

#include "models/error.hpp"
#include "traces/import/recording.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::string_view prefix = "permuted_experts_";

/// Consecutive lines of the same length.
struct Group {
  std::int64_t ids;
  std::int64_t lines;
  std::int64_t first_line;
};

std::int64_t parse_ids(std::string_view line, const LineReader& lines, std::vector<std::uint16_t>* ids) {
  if (line.substr(0, prefix.size()) != prefix)
    throw InputError(lines.where(), "the line does not start with '" + std::string(prefix) + "'");
  line.remove_prefix(prefix.size());
  std::int64_t count = 0;
  while (!line.empty()) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start == std::string_view::npos) break;
    line.remove_prefix(start);
    const std::string_view token = line.substr(0, line.find(' '));
    const auto id = parse_integer(token, 0, max_experts - 1, "expert", lines);
    if (ids != nullptr) ids->push_back(static_cast<std::uint16_t>(id));
    ++count;
    line.remove_prefix(token.size());
  }
  if (count == 0) throw InputError(lines.where(), "the line holds no expert");
  if (count > max_step_tokens) throw InputError(lines.where(), "a line of " + std::to_string(count) + " ids");
  return count;
}

std::vector<Group> scan(const std::string& path) {
  std::vector<Group> groups;
  LineReader lines(path);
  std::string_view line;
  while (lines.next(line)) {
    const std::int64_t ids = parse_ids(line, lines, nullptr);
    if (groups.empty() || groups.back().ids != ids) groups.push_back({ids, 0, lines.number()});
    ++groups.back().lines;
    if (groups.size() > 1'000'000)
      throw InputError(lines.where(), "the lengths of the lines follow no pattern");
  }
  return groups;
}

/// MoE layers a stack: an encoder pass is one line a layer, and both stacks of a Switch model are alike.
std::int64_t moe_layers(const std::vector<Group>& groups, const std::string& path) {
  if (groups.size() < 2 || groups.size() % 2 != 0)
    throw InputError(path, "encoder and decoder lines cannot be told apart",
                     "a run is one long line for each encoder layer, then short lines of equal length");
  const std::int64_t layers = groups.front().lines;
  if (layers > max_layers / 2)
    throw InputError(path, std::to_string(layers) +
                               " lines of equal length at the start, which would be the encoder's "
                               "MoE layers");
  for (std::size_t i = 0; i < groups.size(); i += 2) {
    const Group& encoder = groups[i];
    const Group& decoder = groups[i + 1];
    const auto where = [&](const Group& group) { return path + ":" + std::to_string(group.first_line); };
    if (encoder.ids <= decoder.ids || encoder.ids % decoder.ids != 0)
      throw InputError(where(encoder),
                       "lines of " + std::to_string(encoder.ids) + " ids, then of " +
                           std::to_string(decoder.ids) +
                           ": an encoder line holds a whole number of tokens for each sequence");
    if (encoder.lines != layers)
      throw InputError(where(encoder), std::to_string(encoder.lines) +
                                           " encoder lines, but the first run has " + std::to_string(layers));
    if (decoder.lines % layers != 0)
      throw InputError(where(decoder),
                       std::to_string(decoder.lines) + " decoder lines are not a whole number of steps of " +
                           std::to_string(layers) + " MoE layers",
                       "is the file truncated?");
  }
  return layers;
}

/// The number in `..._e128_...` of the file's name, or 0.
int experts_in_name(const std::string& path) {
  const std::string name = std::filesystem::path(path).stem().string();
  for (std::size_t at = name.find("_e"); at != std::string::npos; at = name.find("_e", at + 1)) {
    std::size_t stop = at + 2;
    while (stop < name.size() && name[stop] >= '0' && name[stop] <= '9' && stop < at + 6) ++stop;
    if (stop > at + 2 && (stop == name.size() || name[stop] == '_')) {
      const int experts = std::stoi(name.substr(at + 2, stop - at - 2));
      return experts >= 1 && experts <= max_experts ? experts : 0;
    }
  }
  return 0;
}

void describe(RecordingFacts& facts, const std::string& path, std::int64_t layers) {
  const int experts = experts_in_name(path);
  for (const char* name : {"encoder", "decoder"}) {
    RecordingFacts::Stack stack{.name = name, .layers = {}};
    // Switch puts a MoE feed-forward in every other layer: 1, 3, 5, ...
    for (int l = 0; l < static_cast<int>(layers); ++l)
      stack.layers.push_back({.index = 2 * l + 1, .experts = experts});
    facts.stacks.push_back(std::move(stack));
  }
  if (experts > 0) {
    facts.notes.push_back("the number of experts, " + std::to_string(experts) + ", is from the file's name");
    if (layers == 6) facts.model = "switch-base-" + std::to_string(experts);
    if (layers == 12) facts.model = "switch-large-" + std::to_string(experts);
  }
  facts.notes.emplace_back(
      "ids are sorted within a layer call: which token chose which expert is not recorded");
}

void parse_file(const std::string& path, const std::vector<Group>& groups, std::size_t layers,
                RecordingSink& sink) {
  LineReader lines(path);
  RecordedStep step;
  std::vector<std::uint16_t> ids;
  std::string_view line;
  const auto read_step = [&](std::int64_t tokens) {
    step.shape(layers, tokens, 1, false, path);
    for (std::size_t l = 0; l < layers; ++l) {
      ids.clear();
      if (!lines.next(line) || parse_ids(line, lines, &ids) != tokens)
        throw InputError(lines.where(), "the file changed while it was read");
      std::copy(ids.begin(), ids.end(), step.experts.begin() + static_cast<std::ptrdiff_t>(step.at(l, 0, 0)));
    }
    sink.add(step, lines.where());
  };
  const auto layer_count = static_cast<std::int64_t>(layers);
  for (std::size_t run = 0; run + 1 < groups.size(); run += 2) {
    const auto sequences = static_cast<int>(groups[run + 1].ids);
    sink.begin_request("run " + std::to_string(run / 2), sequences);
    step.sequences = sequences;
    step.phase = Phase::encoder;
    step.stack = 0;
    step.position = 0;
    read_step(groups[run].ids);
    step.phase = Phase::decode;
    step.stack = 1;
    for (std::int64_t s = 0; s < groups[run + 1].lines / layer_count; ++s) {
      step.position = static_cast<int>(s);
      read_step(sequences);
    }
  }
}

}  // namespace

void parse_switch_lines(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  std::int64_t layers = 0;
  for (const std::string& input : inputs) {
    const std::vector<Group> groups = scan(input);
    const std::int64_t here = moe_layers(groups, input);
    if (layers == 0) {
      layers = here;
      describe(facts, input, layers);
    }
    if (here != layers || experts_in_name(input) != experts_in_name(inputs.front()))
      throw InputError(input, "is of another model than " + inputs.front(), "import them one by one");
    parse_file(input, groups, static_cast<std::size_t>(layers), sink);
  }
}

}  // namespace pregate::trace
