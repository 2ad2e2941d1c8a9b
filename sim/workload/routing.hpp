// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "sim/cache/expert_cache.hpp"
#include "sim/cache/hit_counter.hpp"
#include "sim/workload/expert_map.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// An expert's tokens are dealt to its copies in turn; those of a place.
struct ReplicaShare {
  std::uint64_t turns = 1;   ///< bit i: the place has the i-th copy
  std::uint32_t copies = 1;  ///< of the expert, at most 64
  [[nodiscard]] std::uint32_t of(std::uint32_t tokens) const {
    const std::uint64_t rest = (std::uint64_t{1} << tokens % copies) - 1;
    return tokens / copies * static_cast<std::uint32_t>(std::popcount(turns)) +
           static_cast<std::uint32_t>(std::popcount(turns & rest));
  }
};

/// The activated sets of one step, layer by layer: distinct experts in router order with the tokens each
/// received. Reused from step to step; no allocation once it has seen the largest step.
class StepRouting {
 public:
  explicit StepRouting(const ExpertMap& map);

  void load(const trace::Step& step);
  /// Of what `whole` holds of ordinals [first, first + count), which are [to, to + count) here, the experts
  /// that have a key here: `here` of each key there, or no_key. As load() of a step without the others.
  /// `shares`: which of an expert's tokens are for here, where it has copies elsewhere; empty: all.
  void load_part(const StepRouting& whole, int first, int to, int count, std::span<const ExpertKey> here,
                 std::span<const ReplicaShare> shares = {});
  /// Of every layer every expert, with so many tokens each, whatever was routed.
  void load_every(std::uint32_t tokens);
  static constexpr ExpertKey no_key = static_cast<ExpertKey>(-1);
  [[nodiscard]] std::span<const ExpertKey> activated(int ordinal) const { return slice(keys_, ordinal); }
  [[nodiscard]] std::uint32_t activated_count(int ordinal) const { return range(ordinal).size(); }
  /// Tokens routed to each of activated(ordinal).
  [[nodiscard]] std::span<const std::uint32_t> tokens(int ordinal) const {
    return slice(one_each_ ? ones_ : tokens_, ordinal);
  }
  /// Routed entries of the layer: the sum of tokens(ordinal).
  [[nodiscard]] std::uint32_t routed(int ordinal) const {
    return one_each_ ? range(ordinal).size() : routed_[static_cast<std::size_t>(ordinal)];
  }
  /// The activated sets of ordinals [first, last) as places in all_keys().
  [[nodiscard]] std::span<const cache::BatchRange> ranges(int first, int last) const {
    return {&range(first), static_cast<std::size_t>(last - first)};
  }
  [[nodiscard]] const ExpertKey* all_keys() const { return keys_.data(); }
  /// Every activated expert of every layer has one token.
  [[nodiscard]] bool is_one_each() const { return one_each_; }

 private:
  template <class T>
  [[nodiscard]] std::span<const T> slice(const std::vector<T>& all, int ordinal) const {
    const cache::BatchRange& layer = range(ordinal);
    return {all.data() + layer.begin, layer.size()};
  }
  [[nodiscard]] const cache::BatchRange& range(int ordinal) const {
    return (one_each_ ? single_token_ : layers_)[static_cast<std::size_t>(ordinal)];
  }

  /// One token with distinct experts in every layer, the common decode step: nothing to count. False
  /// otherwise.
  bool load_single_token(const trace::Step& step);
  /// Room for so many keys.
  void make_room(std::size_t keys);
  /// For those of `step`.
  void grow(const trace::Step& step);
  template <class Own>
  std::uint32_t take_those_here(const StepRouting& whole, int ordinal, std::span<const ExpertKey> here,
                                Own own, std::uint32_t& end);
  void load_marking(const trace::Step& step);

  const ExpertMap& map_;
  bool one_each_ = false;
  std::vector<cache::BatchRange> layers_;
  std::vector<std::uint32_t> routed_;            // by layer, as layers_
  std::vector<cache::BatchRange> single_token_;  // of a token with distinct experts in every layer
  std::vector<ExpertKey> first_keys_;            // by entry of such a token's: of its layer; all stacks
  std::vector<std::size_t> first_entry_;         // by stack: there
  std::vector<int> top_k_;      // by stack: of all its layers; 0 = they differ, -1 = it has none
  std::vector<int> roomy_for_;  // by stack: tokens of the largest step that keys_ has room for
  std::vector<ExpertKey> keys_;
  std::vector<std::uint32_t> tokens_, ones_;
  std::vector<std::uint64_t> seen_;  // by key: the epoch in which it was last activated x 2^32 + its tokens
  std::uint32_t epoch_ = 0;
};

/// The experts that a recording predicted for each layer of a step; empty where it predicted none.
class StepPredictions {
 public:
  StepPredictions(const ExpertMap& map, const trace::TraceInfo& info);
  void load(const trace::Step& step);
  /// Those of layer `target` that the recording knew when the ids of `ordinal` were known, which is before
  /// it: at the nearest of its distances that reaches so far. Empty where none does.
  [[nodiscard]] std::span<const ExpertKey> predicted(int ordinal, int target) const;

 private:
  std::vector<int> distances_;  ///< ascending
  std::vector<StepRouting> at_distance_;
};

}  // namespace pregate::sim
