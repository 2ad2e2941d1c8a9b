// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "models/error.hpp"
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
  ImportOptions known;  ///< what the caller knows; there before the parser runs
  std::string model;
  std::vector<Stack> stacks;
  /// What the first pass saw, for parsers whose recordings do not say their layers before the first step: the
  /// stacks with their layers in order. Empty in the first pass, where `stacks` grows as layers appear.
  std::vector<Stack> seen;
  bool has_weights = false;
  bool has_predictions = false;
  int prediction_distance = 0;     ///< MoE layers ahead at which they were known; 0 = not said
  std::vector<std::string> notes;  ///< what the user must know
};

/// A step in the recording's own terms: for each of the stack's layers, tokens x width ids in router order.
struct RecordedStep {
  Phase phase = Phase::decode;
  int stack = 0;
  int sequences = 1;
  int tokens = 0;
  int position = 0;
  int width = 0;                         ///< ids kept for each token and layer
  std::vector<std::uint16_t> experts;    ///< layers x tokens x width, no_expert where there is none
  std::vector<float> weights;            ///< same shape, or empty
  std::vector<std::uint16_t> predicted;  ///< same shape, or empty

  /// Makes room for a step of this shape, all no_expert. InputError at `where` when it is too large.
  void shape(std::size_t layers, std::int64_t token_count, int ids, bool weighted, const std::string& where,
             bool predicts = false);
  [[nodiscard]] std::size_t at(std::size_t layer, std::size_t token, std::size_t rank) const {
    return (layer * static_cast<std::size_t>(tokens) + token) * static_cast<std::size_t>(width) + rank;
  }
};

/// Steps of one request follow each other, as StepOrder says; a sink refuses those that do not.
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
void parse_vllm_logger(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_moe_cache_lab(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_llama_moe_trace(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink);
void parse_warp(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_megatron_router(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink);
void parse_t_layer_experts(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink);
void parse_lattice(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_speculative_moe(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink);
void parse_moe_beyond(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_vllm_npy(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_routed_answers(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);
void parse_sglang_recorder(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink);
void parse_router_logits(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink);

/// Whether a file that starts with this text is of the format; the text may end anywhere.
bool is_vllm_logger(std::string_view start);
bool is_moe_cache_lab(std::string_view start);
bool is_llama_moe_trace(std::string_view start);
bool is_warp(std::string_view start);
bool is_megatron_router(std::string_view start);
bool is_t_layer_experts(std::string_view start);
bool is_lattice(std::string_view start);
bool is_speculative_moe(std::string_view start);
bool is_moe_beyond(std::string_view start);
bool is_vllm_npy(std::string_view start);
bool is_sglang_recorder(std::string_view start);
bool is_router_logits(std::string_view start);
bool is_sglang_api(std::string_view start);
bool is_vllm_api(std::string_view start);

/// Runs the two passes of `parser` and writes the trace.
ImportResult import_recording(const Parser& parser, const std::vector<std::string>& inputs,
                              const std::string& output, const ImportOptions& options,
                              const std::string& format);

/// Our own JSONL says everything in its header and is read in one pass.
ImportResult import_jsonl(const std::vector<std::string>& inputs, const std::string& output,
                          const ImportOptions& options);

/// Runs `read`; an InputError in it points to docs/recording.md, which says how recordings are made.
[[noreturn]] void throw_with_recording_hint(const InputError& error);
template <typename Read>
decltype(auto) with_recording_hint(const Read& read) {
  try {
    return read();
  } catch (const InputError& error) {
    throw_with_recording_hint(error);
  }
}

/// A note on keys of the records that are not read, if there are any.
void note_unread(const std::vector<std::string>& keys, RecordingFacts& facts);

/// Source names, their SHA-256 and the format.
void record_provenance(TraceInfo& info, const std::vector<std::string>& inputs, const std::string& format);

}  // namespace pregate::trace
