// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/layout.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "models/error.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t max_text = 4096;
constexpr std::int64_t max_expert_bytes = std::int64_t{1} << 50;
constexpr std::uint8_t no_expert_u8 = 0xFF;

bool below(std::span<const std::uint16_t> ids, std::uint16_t experts) {
  unsigned bad = 0;
  for (const std::uint16_t id : ids)
    bad |= static_cast<unsigned>(id >= experts) & static_cast<unsigned>(id != no_expert);
  return bad == 0;
}

void validate_layer(const TraceInfo& info, std::size_t i, const std::string& where) {
  const TraceLayer& layer = info.layers[i];
  const std::string name = "MoE layer " + std::to_string(i);
  if (layer.stack < 0 || layer.stack >= static_cast<int>(info.stacks.size()))
    throw InputError(where, name + " is in stack " + std::to_string(layer.stack) + ", which does not exist");
  if (layer.layer < 0 || layer.layer > 1'000'000)
    throw InputError(where, name + " has layer index " + std::to_string(layer.layer));
  if (layer.experts < 1 || layer.experts > max_experts)
    throw InputError(where, name + " has " + std::to_string(layer.experts) + " experts",
                     "a layer has 1 to " + std::to_string(max_experts) + " experts");
  if (layer.top_k < 1 || layer.top_k > max_top_k || layer.top_k > layer.experts)
    throw InputError(where, name + " has top_k " + std::to_string(layer.top_k) + " of " +
                                std::to_string(layer.experts) + " experts");
  if (layer.expert_bytes.count < 0 || layer.expert_bytes.count > max_expert_bytes)
    throw InputError(where,
                     name + " has an expert of " + std::to_string(layer.expert_bytes.count) + " bytes");
  if (i > 0) {
    const TraceLayer& before = info.layers[i - 1];
    if (before.stack > layer.stack || (before.stack == layer.stack && before.layer >= layer.layer))
      throw InputError(where, name + " is out of order: layers go by stack, then by layer, each once");
  }
}

}  // namespace

void validate_info(const TraceInfo& info, const std::string& where) {
  if (info.stacks.empty() || info.stacks.size() > 16)
    throw InputError(where, "a trace has 1 to 16 stacks, this has " + std::to_string(info.stacks.size()));
  for (const auto& name : info.stacks)
    if (name.empty() || name.size() > 64) throw InputError(where, "a stack has no name or one over 64 bytes");
  if (info.layers.empty() || info.layers.size() > static_cast<std::size_t>(max_layers))
    throw InputError(where, "a trace has 1 to " + std::to_string(max_layers) + " MoE layers, this has " +
                                std::to_string(info.layers.size()));
  for (std::size_t i = 0; i < info.layers.size(); ++i) validate_layer(info, i, where);
  if (info.model.size() > max_text) throw InputError(where, "the model's name is over 4096 bytes");
  if (info.model_top_k < 0 || info.model_top_k > max_top_k)
    throw InputError(where, "model_top_k is " + std::to_string(info.model_top_k));
  if (info.prediction_distance < 0 || info.prediction_distance > max_layers)
    throw InputError(where, "prediction_distance is " + std::to_string(info.prediction_distance));
  const std::vector<int> distances = info.prediction_distances();
  for (std::size_t i = 1; i < distances.size(); ++i) {
    if (distances[i] <= distances[i - 1] || distances[i - 1] < 1 || distances[i] > max_layers)
      throw InputError(where, "its prediction distances are not in order, from 1 on");
  }
  if (!info.has_predictions && (!info.further_distances.empty() || !info.predicted_by.empty()))
    throw InputError(where, "it says how its experts were predicted, and has no predicted ids");
  if (info.predicted_by.size() > 64) throw InputError(where, "the name of what predicted is over 64 bytes");
  for (const auto& [key, value] : info.provenance)
    if (key.empty() || key.size() > max_text || value.size() > 16 * max_text)
      throw InputError(where, "a provenance entry has no key or is over 64 KiB");
}

std::vector<StackLayout> layouts(const TraceInfo& info) {
  std::vector<StackLayout> stacks(info.stacks.size());
  for (std::size_t i = 0; i < info.layers.size(); ++i) {
    const TraceLayer& layer = info.layers[i];
    StackLayout& stack = stacks[static_cast<std::size_t>(layer.stack)];
    if (stack.layers.empty()) stack.uniform_experts = layer.experts;
    if (stack.uniform_experts != layer.experts) stack.uniform_experts = 0;
    stack.layers.push_back(static_cast<int>(i));
    stack.experts.push_back(layer.experts);
    stack.top_k.push_back(layer.top_k);
    stack.entries_a_token += layer.top_k;
    if (layer.experts >= no_expert_u8) stack.width = 2;
  }
  return stacks;
}

std::vector<StackLayout> prediction_layouts(const TraceInfo& info) {
  std::vector<StackLayout> stacks = layouts(info);
  for (StackLayout& stack : stacks) {
    const StackLayout once = stack;
    for (std::size_t i = 1; i < info.predictions_a_step(); ++i) {
      stack.layers.insert(stack.layers.end(), once.layers.begin(), once.layers.end());
      stack.experts.insert(stack.experts.end(), once.experts.begin(), once.experts.end());
      stack.top_k.insert(stack.top_k.end(), once.top_k.begin(), once.top_k.end());
      stack.entries_a_token += once.entries_a_token;
    }
  }
  return stacks;
}

void encode_ids(std::span<const std::uint16_t> ids, int width, std::vector<std::uint8_t>& blob) {
  blob.resize(ids.size() * static_cast<std::size_t>(width));
  if (width == 1) {
    // no_expert (0xFFFF) truncates to its 8-bit form (0xFF).
    for (std::size_t i = 0; i < ids.size(); ++i) blob[i] = static_cast<std::uint8_t>(ids[i]);
    return;
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    blob[2 * i] = static_cast<std::uint8_t>(ids[i] & 0xFFU);
    blob[2 * i + 1] = static_cast<std::uint8_t>(ids[i] >> 8U);
  }
}

void decode_ids(const std::uint8_t* blob, int width, std::span<std::uint16_t> ids) {
  std::uint16_t* const out = ids.data();
  const std::size_t n = ids.size();
  if (width == 1) {
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<std::uint16_t>(blob[i] | (blob[i] == no_expert_u8 ? 0xFF00U : 0U));
    return;
  }
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<std::uint16_t>(blob[2 * i] | (static_cast<unsigned>(blob[2 * i + 1]) << 8U));
}

bool ids_in_range(std::span<const std::uint16_t> ids, const StackLayout& layout, int tokens) {
  if (layout.uniform_experts != 0) return below(ids, static_cast<std::uint16_t>(layout.uniform_experts));
  std::size_t start = 0;
  for (std::size_t l = 0; l < layout.layers.size(); ++l) {
    const auto count = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(layout.top_k[l]);
    if (!below(ids.subspan(start, count), static_cast<std::uint16_t>(layout.experts[l]))) return false;
    start += count;
  }
  return true;
}

std::string describe_out_of_range(std::span<const std::uint16_t> ids, const StackLayout& layout, int tokens,
                                  const TraceInfo& info) {
  std::size_t start = 0;
  for (std::size_t l = 0; l < layout.layers.size(); ++l) {
    const auto count = static_cast<std::size_t>(tokens) * static_cast<std::size_t>(layout.top_k[l]);
    for (const std::uint16_t id : ids.subspan(start, count)) {
      if (id == no_expert || id < layout.experts[l]) continue;
      const TraceLayer& layer = info.layers[static_cast<std::size_t>(layout.layers[l])];
      return "expert " + std::to_string(id) + " in layer " + std::to_string(layer.layer) +
             ", but the layer has " + std::to_string(layer.experts) + " experts (0.." +
             std::to_string(layer.experts - 1) + ")";
    }
    start += count;
  }
  return {};
}

std::int64_t count_routed(std::span<const std::uint16_t> ids) {
  std::int64_t none = 0;
  // Blocks keep the inner counter narrow, so that the loop vectorises at the width of the ids.
  for (std::size_t start = 0; start < ids.size(); start += 32768) {
    const auto block = ids.subspan(start, std::min<std::size_t>(32768, ids.size() - start));
    std::uint16_t in_block = 0;
    for (const std::uint16_t id : block)
      in_block = static_cast<std::uint16_t>(in_block + (id == no_expert ? 1 : 0));
    none += in_block;
  }
  return static_cast<std::int64_t>(ids.size()) - none;
}

bool all_sane(std::span<const float> weights) {
  // As bits, a float from +0 to the limit is an unsigned from 0 to the limit's bits; the sign bit, infinities
  // and NaNs are above. -0 is 0. The test vectorises and does not depend on -ffast-math.
  constexpr auto limit = std::bit_cast<std::uint32_t>(max_gate_weight);
  unsigned bad = 0;
  for (const float weight : weights) {
    const auto bits = std::bit_cast<std::uint32_t>(weight);
    bad |= static_cast<unsigned>(bits > limit) & static_cast<unsigned>(bits != 0x80000000U);
  }
  return bad == 0;
}

namespace {

/// An id that occurs twice in the token, or no_expert.
std::uint16_t twice(std::span<const std::uint16_t> token, std::array<std::uint64_t, max_experts / 64>& seen) {
  constexpr std::size_t few = 12;
  if (token.size() <= few) {
    for (std::size_t i = 1; i < token.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (token[i] == token[j] && token[i] != no_expert) return token[i];
    return no_expert;
  }
  seen.fill(0);
  for (const std::uint16_t id : token) {
    if (id >= max_experts) continue;
    std::uint64_t& word = seen[id / 64U];
    const std::uint64_t bit = std::uint64_t{1} << (id % 64U);
    if ((word & bit) != 0) return id;
    word |= bit;
  }
  return no_expert;
}

}  // namespace

std::string find_duplicate(const Step& step, const StackLayout& layout, const TraceInfo& info) {
  std::array<std::uint64_t, max_experts / 64> seen{};
  std::size_t at = 0;
  for (std::size_t l = 0; l < layout.top_k.size(); ++l) {
    const auto top_k = static_cast<std::size_t>(layout.top_k[l]);
    if (top_k == 1) {
      at += static_cast<std::size_t>(step.tokens);
      continue;
    }
    for (int t = 0; t < step.tokens; ++t, at += top_k)
      if (const std::uint16_t id = twice(step.experts.subspan(at, top_k), seen); id != no_expert)
        return "token " + std::to_string(t) + " has expert " + std::to_string(id) + " twice in layer " +
               std::to_string(info.layers[static_cast<std::size_t>(layout.layers[l])].layer);
  }
  return {};
}

std::string StepOrder::next(const Step& step) {
  if (stacks_.size() <= static_cast<std::size_t>(step.stack))
    stacks_.resize(static_cast<std::size_t>(step.stack) + 1);
  Place& place = stacks_[static_cast<std::size_t>(step.stack)];
  const Place allowed = place;
  place.sequences = step.sequences;
  const bool one_by_one = step.phase == Phase::decode || step.sequences > 1;
  place.low = step.position + (one_by_one ? 1 : step.tokens);
  place.high = std::int64_t{step.position} + step.tokens;
  if (step.accepted > 0 && step.sequences == 1)
    place.low = place.high = std::int64_t{step.position} + step.accepted;
  if (allowed.sequences != step.sequences) return {};
  if (step.position >= allowed.low && step.position <= allowed.high) return {};
  return "starts at position " + std::to_string(step.position) + ", but the step before it ends at " +
         (allowed.low == allowed.high ? "" : std::to_string(allowed.low) + " to ") +
         std::to_string(allowed.high);
}

namespace {

std::string describe_insane(std::span<const float> weights) {
  const auto bad = std::find_if(weights.begin(), weights.end(),
                                [](float w) { return !sane_weight(static_cast<double>(w)); });
  if (std::isnan(*bad)) return "a gate weight is NaN";
  return "a gate weight is " + printable(std::to_string(static_cast<double>(*bad)), 40) + "; it is 0 to 1000";
}

}  // namespace

std::string find_fault(const Step& step, const TraceInfo& info, const std::vector<StackLayout>& stacks) {
  if (step.stack < 0 || step.stack >= static_cast<int>(stacks.size()))
    return "stack " + std::to_string(step.stack) + " does not exist";
  if (step.phase != Phase::encoder && step.phase != Phase::prefill && step.phase != Phase::decode)
    return "unknown phase " + std::to_string(static_cast<int>(step.phase));
  const StackLayout& layout = stacks[static_cast<std::size_t>(step.stack)];
  const bool encodes = info.stacks[static_cast<std::size_t>(step.stack)] == "encoder";
  if (encodes != (step.phase == Phase::encoder))
    return std::string(to_string(step.phase)) + " step in stack '" +
           printable(info.stacks[static_cast<std::size_t>(step.stack)]) + "': " +
           (encodes ? "an encoder has encoder steps only" : "only a stack named 'encoder' has encoder steps");
  if (layout.layers.empty())
    return "stack '" + printable(info.stacks[static_cast<std::size_t>(step.stack)]) + "' has no MoE layers";
  if (step.tokens < 1 || step.tokens > max_step_tokens)
    return std::to_string(step.tokens) + " tokens in one pass";
  if (step.sequences < 1 || step.sequences > step.tokens)
    return std::to_string(step.sequences) + " sequences with " + std::to_string(step.tokens) + " tokens";
  if (step.position < 0) return "negative position " + std::to_string(step.position);
  if (info.has_accepted && step.phase == Phase::decode &&
      (step.accepted < step.sequences || step.accepted > step.tokens))
    return (step.accepted < 0 ? "no number of" : std::to_string(step.accepted)) +
           " accepted tokens; a step accepts one of each of its " + std::to_string(step.sequences) +
           " sequences, and at most its " + std::to_string(step.tokens);
  const std::int64_t entries = layout.entries_a_token * step.tokens;
  if (entries > max_step_entries) return std::to_string(entries) + " routed entries in one step";
  const auto size_fault = [&](const char* what, std::size_t size) {
    return std::string(what) + ": " + std::to_string(size) + " entries, but " + std::to_string(step.tokens) +
           " tokens in this stack's layers make " + std::to_string(entries);
  };
  if (static_cast<std::int64_t>(step.experts.size()) != entries)
    return size_fault("experts", step.experts.size());
  if (!ids_in_range(step.experts, layout, step.tokens))
    return describe_out_of_range(step.experts, layout, step.tokens, info);
  if (info.has_weights) {
    if (static_cast<std::int64_t>(step.weights.size()) != entries)
      return size_fault("weights", step.weights.size());
    if (!all_sane(step.weights)) return describe_insane(step.weights);
  }
  if (std::string twice = find_duplicate(step, layout, info); !twice.empty()) return twice;
  if (info.has_predictions) {
    const auto once = static_cast<std::size_t>(entries), times = info.predictions_a_step();
    if (entries > max_step_entries / static_cast<std::int64_t>(times))
      return std::to_string(entries) + " routed entries in one step, predicted at " + std::to_string(times) +
             " distances";
    if (step.predicted.size() != once * times) return size_fault("predicted", step.predicted.size() / times);
    for (std::size_t i = 0; i < times; ++i) {
      const std::span<const std::uint16_t> ids = step.predicted.subspan(i * once, once);
      if (!ids_in_range(ids, layout, step.tokens))
        return "predicted " + describe_out_of_range(ids, layout, step.tokens, info);
    }
  }
  return {};
}

}  // namespace pregate::trace
