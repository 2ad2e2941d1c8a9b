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

bool all_finite(std::span<const float> weights);

/// The faults of a step against its stack's layout (sizes, ranges, finiteness), empty when it has none.
std::string find_fault(const Step& step, const TraceInfo& info, const std::vector<StackLayout>& stacks);

}  // namespace pregate::trace
