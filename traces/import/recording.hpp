// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "traces/import.hpp"
#include "traces/trace.hpp"

namespace pregate::trace {

/// What a recording says about its model. A parser fills it before its first step, in every pass alike.
struct RecordingFacts {
  struct Layer {
    int index = 0;         ///< in its stack, counting layers without MoE
    int experts = 0;       ///< 0 = not said
    Bytes expert_bytes{};  ///< 0 = not said
  };
  struct Stack {
    std::string name;
    std::vector<Layer> layers;  ///< those that may hold experts; layers no step routes in are dropped
  };
  std::string model;
  std::vector<Stack> stacks;
  bool has_weights = false;
  std::vector<std::string> notes;  ///< what the user must know
};

/// A step in the recording's own terms: for each of the stack's layers, tokens x width ids in router order.
struct RecordedStep {
  Phase phase = Phase::decode;
  int stack = 0;
  int sequences = 1;
  int tokens = 0;
  int position = 0;
  int width = 0;                       ///< ids kept for each token and layer
  std::vector<std::uint16_t> experts;  ///< layers x tokens x width, no_expert where there is none
  std::vector<float> weights;          ///< same shape, or empty

  /// Makes room for a step of this shape, all no_expert. InputError at `where` when it is too large.
  void shape(std::size_t layers, std::int64_t token_count, int ids, bool weighted, const std::string& where);
  [[nodiscard]] std::size_t at(std::size_t layer, std::size_t token, std::size_t rank) const {
    return (layer * static_cast<std::size_t>(tokens) + token) * static_cast<std::size_t>(width) + rank;
  }
};

class RecordingSink {
 public:
  virtual ~RecordingSink() = default;
  virtual void begin_request(const std::string& label, int sequences) = 0;
  /// `where` names the place in the recording, for errors.
  virtual void add(const RecordedStep& step, const std::string& where) = 0;
};

/// Parses all inputs into the sink. It runs twice over the same files: once to learn the shape (how many
/// experts, how many a token), once to write; so a recording of any length imports in constant memory.
using Parser =
    std::function<void(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink)>;

void parse_switch_lines(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_route_trace(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_gpt_oss_csv(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_gpt_oss_json(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);

/// Runs the two passes of `parser` and writes the trace.
ImportResult import_recording(const Parser& parser, const std::vector<std::string>& inputs,
                              const std::string& output, const ImportOptions& options,
                              const std::string& format);

/// Our own JSONL says everything in its header and is read in one pass.
ImportResult import_jsonl(const std::vector<std::string>& inputs, const std::string& output,
                          const ImportOptions& options);

/// Source names, their SHA-256 and the format.
void record_provenance(TraceInfo& info, const std::vector<std::string>& inputs, const std::string& format);

}  // namespace pregate::trace
