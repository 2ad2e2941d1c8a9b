// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/units.hpp"

namespace pregate::trace {

enum class Phase : std::uint8_t { encoder = 0, prefill = 1, decode = 2 };
const char* to_string(Phase phase);

/// Marks a place without an expert: dropped, null or pruned, or not recorded.
inline constexpr std::uint16_t no_expert = 0xFFFF;
inline constexpr int max_experts = 4096;
inline constexpr int max_top_k = 256;
inline constexpr int max_layers = 1024;  ///< MoE layers of all stacks together
inline constexpr int max_step_tokens = 1 << 20;

/// One MoE layer of a trace. Layers may differ in experts and top_k.
struct TraceLayer {
  int stack = 0;  ///< index into TraceInfo::stacks
  int layer = 0;  ///< index of the layer in its stack, counting layers without MoE
  int experts = 0;
  int top_k = 0;       ///< most experts a token used; a token may have fewer
  Bytes expert_bytes;  ///< of one expert as recorded; 0 = not recorded
  bool operator==(const TraceLayer&) const = default;
};

/// Everything but the steps.
struct TraceInfo {
  std::string model;                ///< as the recording names it, or a catalogue name; may be empty
  std::vector<std::string> stacks;  ///< "encoder", "decoder"
  std::vector<TraceLayer> layers;   ///< by stack, then by layer
  int model_top_k = 0;  ///< experts a token of the model itself; 0 = unknown (Qwen3 here: 8, recorded 6)
  bool has_weights = false;
  bool has_predictions = false;
  bool has_arrivals = false;           ///< every request says when it arrived
  bool has_accepted = false;           ///< every decode step says how many output tokens it brought
  int prediction_distance = 0;         ///< MoE layers ahead at which predicted ids were known; 0 = none
  std::vector<int> further_distances;  ///< ascending, behind that one: at which there are predicted ids too
  std::string predicted_by;  ///< the kind of lookahead that predicted so, as policies name it; may be empty
  std::map<std::string, std::string>
      provenance;            ///< source file name, its SHA-256, format, tool version, notes
  std::string content_hash;  ///< hex SHA-256 of layers, requests and steps (not of provenance)
  std::int64_t requests = 0, steps = 0, tokens = 0, routed_entries = 0;
  /// Indices into `layers` of one stack's MoE layers.
  [[nodiscard]] std::vector<int> layers_of(int stack) const;
  /// How often Step::predicted has the shape of Step::experts; 0 without predictions.
  [[nodiscard]] std::size_t predictions_a_step() const {
    return has_predictions ? 1 + further_distances.size() : 0;
  }
  /// prediction_distance and those behind it.
  [[nodiscard]] std::vector<int> prediction_distances() const;
};

/// One request, or one batch that a recording merged (sequences > 1).
struct Request {
  std::int64_t id = 0;  ///< 0, 1, 2, ... in trace order
  std::string label;
  int sequences = 1;
  std::int64_t arrival_ns = -1;  ///< as Step::arrival_ns
};

/// What one sequence has in a pass.
struct SequencePart {
  int tokens = 0;
  int position = 0;   ///< its cached tokens before the pass
  bool ends = true;   ///< the recorded pass of the sequence ends with this one, so its logits may be wanted
  int accepted = -1;  ///< as Step::accepted
  int number = -1;    ///< of its request's sequences, the same in all passes; -1: its place here
  bool operator==(const SequencePart&) const = default;
};

/// Of a pass that takes a part of a recorded prompt pass, what it is in the whole.
struct PromptChunk {
  bool last = false;  ///< the prompt pass ends with it
  int context = 0;    ///< cached tokens a sequence after the whole pass
};

/// One forward pass through one stack. Views are valid until the next call of the source that filled it.
struct Step {
  std::int64_t request = 0;
  std::int64_t index = 0;  ///< in its request
  Phase phase = Phase::decode;
  int stack = 0;
  int sequences = 1;
  int tokens = 0;    ///< in this pass, over all sequences
  int position = 0;  ///< cached tokens before this pass, per sequence
  bool first_of_request = false;
  int accepted = -1;  ///< decode: output tokens that it brought, at least one a sequence; -1: not recorded
  std::int64_t arrival_ns = -1;  ///< of its request, from the start of the recording; -1: not recorded
  /// Experts of all MoE layers of the stack, layer after layer; within a layer token-major, tokens x top_k
  /// ids in router order, no_expert where there is none.
  std::span<const std::uint16_t> experts;
  /// Same shape, once for each of the trace's prediction distances, one after the other; or empty.
  std::span<const std::uint16_t> predicted;
  std::span<const float> weights;  ///< same shape, or empty
  /// By sequence, where each one's tokens are together and in this order; `position` is then their mean.
  /// Empty: one sequence, or not known.
  std::span<const SequencePart> parts = {};
  std::optional<PromptChunk> chunk = {};
};

/// Where steps come from: a file, memory, a generator, a composition of requests. Streams; never holds it all
/// unless it says so.
class StepSource {
 public:
  virtual ~StepSource() = default;
  [[nodiscard]] virtual const TraceInfo& info() const = 0;
  /// False at the end. Steps of one request are contiguous and in order.
  virtual bool next(Step& step) = 0;
  virtual void rewind() = 0;
};

}  // namespace pregate::trace
