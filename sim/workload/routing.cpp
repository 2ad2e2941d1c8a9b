// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/routing.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace pregate::sim {

StepRouting::StepRouting(const ExpertMap& map)
    : map_(map), layers_(map.layers().size()), routed_(map.layers().size()), seen_(map.keys()) {
  std::uint32_t begin = 0;
  int stack = -1;
  for (const MoeLayer& layer : map.layers()) {
    if (layer.stack != stack) begin = 0;
    stack = layer.stack;
    const auto count = static_cast<std::uint32_t>(layer.top_k);
    single_token_.push_back({begin, begin + count});
    begin += count;
    const auto of_stack = static_cast<std::size_t>(layer.stack);
    if (of_stack >= top_k_.size()) {
      top_k_.resize(of_stack + 1, -1);
      first_entry_.resize(of_stack + 1, first_keys_.size());
    }
    first_keys_.insert(first_keys_.end(), count, layer.first_key);
    int& top_k = top_k_[of_stack];
    top_k = top_k < 0 || top_k == layer.top_k ? layer.top_k : 0;
  }
}

namespace {

/// Entries of the step's blob before a layer are those of the layers before it: tokens x top_k each.
std::size_t most_activated(const ExpertMap& map, const trace::Step& step) {
  std::size_t most = 0;
  const auto [first, last] = map.ordinals(step.stack);
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const MoeLayer& layer = map.layers()[static_cast<std::size_t>(ordinal)];
    most += std::max(std::min(static_cast<std::size_t>(layer.experts),
                              static_cast<std::size_t>(step.tokens) * static_cast<std::size_t>(layer.top_k)),
                     static_cast<std::size_t>(layer.top_k));
  }
  return most;
}

/// Whether one token's `count` experts are all there, none of them twice. `count` is a constant where it can
/// be: the comparisons of pairs then unroll.
template <class Count>
bool are_distinct(const std::uint16_t* ids, Count count) {
  bool distinct = true;
  for (int i = 0; i < count; ++i) {
    distinct &= ids[i] != trace::no_expert;
    for (int j = 0; j < i; ++j) distinct &= ids[i] != ids[j];
  }
  return distinct;
}

using EightIds [[gnu::vector_size(16)]] = std::uint16_t;
using EightFlags [[gnu::vector_size(16)]] = std::int16_t;

EightIds ids_at(const std::uint16_t* ids) {
  EightIds eight;
  std::memcpy(&eight, ids, sizeof eight);
  return eight;
}

bool is_any(EightFlags flags) {
  std::uint64_t halves[2];
  std::memcpy(halves, &flags, sizeof halves);
  return (halves[0] | halves[1]) != 0;
}

/// Each is held against the others by turning them past it: among four, the first and the second turn meet
/// all; among eight, the first four.
EightFlags repeated_of_four(EightIds a) {
  return (a == trace::no_expert) | (a == __builtin_shufflevector(a, a, 1, 2, 3, 0, 5, 6, 7, 4)) |
         (a == __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5));
}
EightFlags repeated_of_eight(EightIds a) {
  return (a == trace::no_expert) | (a == __builtin_shufflevector(a, a, 1, 2, 3, 4, 5, 6, 7, 0)) |
         (a == __builtin_shufflevector(a, a, 2, 3, 4, 5, 6, 7, 0, 1)) |
         (a == __builtin_shufflevector(a, a, 3, 4, 5, 6, 7, 0, 1, 2)) |
         (a == __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3));
}

/// The same of each of `layers` layers that follow one another.
template <int Count>
bool are_all_distinct(const std::uint16_t* ids, std::size_t layers,
                      std::integral_constant<int, Count> count) {
  bool distinct = true;
  for (std::size_t layer = 0; layer < layers; ++layer) distinct &= are_distinct(ids + layer * Count, count);
  return distinct;
}
bool are_all_distinct(const std::uint16_t* ids, std::size_t layers, std::integral_constant<int, 4> four) {
  EightFlags repeated{};
  std::size_t layer = 0;
  for (; layer + 2 <= layers; layer += 2) repeated |= repeated_of_four(ids_at(ids + layer * 4));
  return !is_any(repeated) && (layer == layers || are_distinct(ids + layer * 4, four));
}
bool are_all_distinct(const std::uint16_t* ids, std::size_t layers, std::integral_constant<int, 8>) {
  EightFlags repeated{};
  for (std::size_t layer = 0; layer < layers; ++layer) repeated |= repeated_of_eight(ids_at(ids + layer * 8));
  return !is_any(repeated);
}
bool are_all_distinct(const std::uint16_t* ids, std::span<const MoeLayer> layers) {
  bool distinct = true;
  for (const MoeLayer& layer : layers) {
    distinct &= are_distinct(ids, layer.top_k);
    ids += layer.top_k;
  }
  return distinct;
}

}  // namespace

void StepRouting::load(const trace::Step& step) {
  const auto stack = static_cast<std::size_t>(step.stack);
  if (stack >= roomy_for_.size() || roomy_for_[stack] < step.tokens) grow(step);
  one_each_ = step.tokens == 1 && load_single_token(step);
  if (!one_each_) load_marking(step);
}

void StepRouting::load_part(const StepRouting& whole, int first, int to, int count,
                            std::span<const ExpertKey> here, std::span<const ReplicaShare> shares) {
  one_each_ = false;
  std::size_t most = 0;
  for (int i = 0; i < count; ++i) most += whole.activated_count(first + i);
  make_room(most);
  const auto all = [](ExpertKey, std::uint32_t tokens) { return tokens; };
  const auto of_share = [&](ExpertKey key, std::uint32_t tokens) { return shares[key].of(tokens); };
  std::uint32_t end = 0;
  for (int i = 0; i < count; ++i) {
    const std::size_t at = static_cast<std::size_t>(to) + static_cast<std::size_t>(i);
    layers_[at].begin = end;
    routed_[at] = shares.empty() ? take_those_here(whole, first + i, here, all, end)
                                 : take_those_here(whole, first + i, here, of_share, end);
    layers_[at].end = end;
  }
}

/// Appends at `end` what `own` says of each activated expert of a layer that is here; their tokens. Every
/// expert is written and only those that are here counted: which are next is not predictable.
template <class Own>
std::uint32_t StepRouting::take_those_here(const StepRouting& whole, int ordinal,
                                           std::span<const ExpertKey> here, Own own, std::uint32_t& end) {
  const std::span<const ExpertKey> keys = whole.activated(ordinal);
  const std::span<const std::uint32_t> tokens = whole.tokens(ordinal);
  ExpertKey* const taken = keys_.data();
  std::uint32_t* const taken_tokens = tokens_.data();
  std::uint32_t routed = 0, at = end;
  for (std::size_t place = 0; place < keys.size(); ++place) {
    const ExpertKey key = here[keys[place]];
    const std::uint32_t mine = key == no_key ? 0 : own(keys[place], tokens[place]);
    taken[at] = key;
    taken_tokens[at] = mine;
    routed += mine;
    at += mine != 0 ? 1 : 0;
  }
  end = at;
  return routed;
}

void StepRouting::load_every(std::uint32_t tokens) {
  one_each_ = false;
  make_room(map_.keys());
  for (std::size_t i = 0; i < map_.layers().size(); ++i) {
    const MoeLayer& layer = map_.layers()[i];
    const auto count = static_cast<std::uint32_t>(layer.experts);
    layers_[i].begin = layer.first_key;
    layers_[i].end = layer.first_key + count;
    routed_[i] = count * tokens;
    for (ExpertKey key = layer.first_key; key < layer.first_key + count; ++key) {
      keys_[key] = key;
      tokens_[key] = tokens;
    }
  }
}

void StepRouting::make_room(std::size_t keys) {
  const std::size_t most = keys + 1;  // behind the last one is written, and not counted
  if (keys_.size() >= most) return;
  keys_.resize(most);
  tokens_.resize(most);
  ones_.resize(most, 1);
}

void StepRouting::grow(const trace::Step& step) {
  make_room(most_activated(map_, step));
  const auto stack = static_cast<std::size_t>(step.stack);
  if (stack >= roomy_for_.size()) roomy_for_.resize(stack + 1, -1);
  roomy_for_[stack] = step.tokens;
}

bool StepRouting::load_single_token(const trace::Step& step) {
  const auto [first, last] = map_.ordinals(step.stack);
  const std::span<const MoeLayer> layers(map_.layers().data() + first,
                                         static_cast<std::size_t>(last - first));
  const std::uint16_t* const ids = step.experts.data();
  const auto distinct = [&](auto count) { return are_all_distinct(ids, layers.size(), count); };
  const auto are_distinct_in_layers = [&] {
    switch (top_k_[static_cast<std::size_t>(step.stack)]) {
      case 1:
        return distinct(std::integral_constant<int, 1>{});
      case 2:
        return distinct(std::integral_constant<int, 2>{});
      case 4:
        return distinct(std::integral_constant<int, 4>{});
      case 6:
        return distinct(std::integral_constant<int, 6>{});
      case 8:
        return distinct(std::integral_constant<int, 8>{});
      default:
        return are_all_distinct(ids, layers);
    }
  };
  if (layers.empty()) return true;
  if (!are_distinct_in_layers()) return false;
  const std::size_t entries = single_token_[static_cast<std::size_t>(last) - 1].end;
  const ExpertKey* const first_keys = first_keys_.data() + first_entry_[static_cast<std::size_t>(step.stack)];
  ExpertKey* const keys = keys_.data();
  for (std::size_t i = 0; i < entries; ++i) keys[i] = first_keys[i] + ids[i];
  return true;
}

void StepRouting::load_marking(const trace::Step& step) {
  if (++epoch_ == 0) {  // the counter wrapped: forget every mark
    std::fill(seen_.begin(), seen_.end(), 0);
    epoch_ = 1;
  }
  const std::uint64_t marked = std::uint64_t{epoch_} << 32;
  const auto [first, last] = map_.ordinals(step.stack);
  const std::uint16_t* entry = step.experts.data();
  std::uint32_t end = 0;
  ExpertKey* const keys = keys_.data();
  for (int ordinal = first; ordinal < last; ++ordinal) {
    const MoeLayer& layer = map_.layers()[static_cast<std::size_t>(ordinal)];
    cache::BatchRange& range = layers_[static_cast<std::size_t>(ordinal)];
    std::uint64_t* const seen_of_layer = seen_.data() + layer.first_key;
    const std::uint16_t* const stop =
        entry + static_cast<std::size_t>(step.tokens) * static_cast<std::size_t>(layer.top_k);
    const auto entries = static_cast<std::uint32_t>(stop - entry);
    std::uint32_t missing = 0;
    range.begin = end;
    // Every expert is written and only those that are new counted: which are is not predictable.
    for (; entry != stop; ++entry) {
      if (*entry == trace::no_expert) {
        ++missing;
        continue;
      }
      std::uint64_t& seen = seen_of_layer[*entry];
      const bool is_new = seen < marked;
      keys[end] = layer.first_key + *entry;
      end += is_new ? 1 : 0;
      seen = (is_new ? marked : seen) + 1;
    }
    range.end = end;
    for (std::uint32_t i = range.begin; i < end; ++i) tokens_[i] = static_cast<std::uint32_t>(seen_[keys[i]]);
    routed_[static_cast<std::size_t>(ordinal)] = entries - missing;
  }
}

StepPredictions::StepPredictions(const ExpertMap& map, const trace::TraceInfo& info)
    : distances_(info.prediction_distances()) {
  for (std::size_t i = 0; i < distances_.size(); ++i) at_distance_.emplace_back(map);
}

void StepPredictions::load(const trace::Step& step) {
  trace::Step view = step;
  const std::size_t once = step.predicted.size() / std::max<std::size_t>(1, at_distance_.size());
  if (once == 0) view.tokens = 0;
  for (std::size_t i = 0; i < at_distance_.size(); ++i) {
    view.experts = step.predicted.subspan(i * once, once);
    at_distance_[i].load(view);
  }
}

std::span<const ExpertKey> StepPredictions::predicted(int ordinal, int target) const {
  const auto reaching = std::lower_bound(distances_.begin(), distances_.end(), target - ordinal);
  if (reaching == distances_.end()) return {};
  return at_distance_[static_cast<std::size_t>(reaching - distances_.begin())].activated(target);
}

}  // namespace pregate::sim
