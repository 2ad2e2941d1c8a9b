// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "traces/trace.hpp"

namespace pregate::trace {

/// Most routed entries of one step: 2^27, which keeps a step's float32 weights below SQLite's largest blob.
inline constexpr std::int64_t max_step_entries = std::int64_t{1} << 27;

/// The latest arrival of a request: 100 days, less than virtual time reaches.
inline constexpr std::int64_t max_arrival_ns = std::int64_t{100} * 86'400 * 1'000'000'000;

/// How the entries of one stack's steps are laid out: layer after layer, within a layer token after token.
struct StackLayout {
  std::vector<int> layers;           ///< indices into TraceInfo::layers
  std::vector<int> experts;          ///< of each of them
  std::vector<int> top_k;            ///< of each of them
  std::int64_t entries_a_token = 0;  ///< sum of top_k
  int uniform_experts = 0;           ///< when all layers have as many experts: that number; else 0
  int width = 1;                     ///< bytes an id in a blob: 1 when every layer has < 255 experts, else 2
};

/// Throws InputError at `where` unless names, layers and sizes are in range and in order.
void validate_info(const TraceInfo& info, const std::string& where);

/// Layout of each stack. `info` must be valid.
std::vector<StackLayout> layouts(const TraceInfo& info);
/// The same of Step::predicted: a stack's layers come once for each prediction distance.
std::vector<StackLayout> prediction_layouts(const TraceInfo& info);

/// Bytes of the ids of `entries` entries at `width`; the blob form of Step::experts.
void encode_ids(std::span<const std::uint16_t> ids, int width, std::vector<std::uint8_t>& blob);

/// The reverse; `ids.size()` entries are read from `blob`, which must hold exactly ids.size() * width bytes.
void decode_ids(const std::uint8_t* blob, int width, std::span<std::uint16_t> ids);

/// Whether each id is below its layer's experts or no_expert.
bool ids_in_range(std::span<const std::uint16_t> ids, const StackLayout& layout, int tokens);

/// Where the first id out of range is, in words: "expert 131 in layer 7, but the layer has 128 experts
/// (0..127)".
std::string describe_out_of_range(std::span<const std::uint16_t> ids, const StackLayout& layout, int tokens,
                                  const TraceInfo& info);

/// Number of ids other than no_expert.
std::int64_t count_routed(std::span<const std::uint16_t> ids);

/// The largest gate weight that a trace may hold. Softmax and sigmoid gates give at most 1, and published
/// models scale them by at most 16 (DeepSeek-V2's routed_scaling_factor); gates without a bound (softplus)
/// stay within tens. A negative weight, or one far above, is a logit or a damaged number, not a gate weight.
inline constexpr float max_gate_weight = 1000.0F;
inline constexpr const char* weight_hint =
    "a gate weight is a number from 0 to 1000, as it scales an expert's output; router logits are not";

/// Whether it is finite and within 0 to max_gate_weight.
constexpr bool sane_weight(double weight) {
  return weight >= 0 && weight <= static_cast<double>(max_gate_weight);
}
bool all_sane(std::span<const float> weights);

/// The first token of the step that has an expert twice in a layer, in words; empty when there is none. The
/// step's sizes must be right.
std::string find_duplicate(const Step& step, const StackLayout& layout, const TraceInfo& info);

/// The faults of a step by itself against its stack's layout (phase, sizes, ranges, weights, an expert twice
/// in a token), empty when it has none. What must hold from step to step is StepOrder's.
std::string find_fault(const Step& step, const TraceInfo& info, const std::vector<StackLayout>& stacks);

/// Whether the steps of a request follow each other: a step starts where the one before it in the same stack
/// ended. A pass of one sequence advances by its tokens, a decode step that verified drafts by at least one
/// of them, and a pass of several sequences, whose lengths the trace does not know, by at most all its
/// tokens. Where the number of sequences changes, so may their mean position, and nothing is checked.
class StepOrder {
 public:
  void begin_request() { stacks_.clear(); }
  /// What is wrong with where this step starts, in words; empty when nothing is. The step's stack must exist.
  std::string next(const Step& step);

 private:
  struct Place {
    int sequences = 0;               ///< of the step before; 0 = there was none
    std::int64_t low = 0, high = 0;  ///< where the next step of as many sequences may start
  };
  std::vector<Place> stacks_;
};

}  // namespace pregate::trace
