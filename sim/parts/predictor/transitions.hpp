// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/parts/predictor/sum_shares.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// How often experts of a layer were activated where others were, some MoE layers before: of order 1 by one
/// expert of that layer, of order 2 by one of that layer and one of the layer before it.
///
/// A score of order 2 adds as many rows up as a token has pairs of experts, which lie anywhere: what they
/// take is the memory's time. Counts have a byte each until one of their row is full.
class Transitions {
 public:
  using Keys = std::span<const ExpertKey>;

  /// `map` must outlive this. Lowers `bytes_left` by four bytes a count, to which tables may grow; InputError
  /// where they do not fit.
  Transitions(const ExpertMap& map, int order, int distance, std::int64_t& bytes_left);

  [[nodiscard]] int distance() const { return distance_; }
  /// Distinct keys: `before` of the layer before `ordinal` in its stack, empty where there is none; `target`
  /// of the layer that comes distance() after `ordinal`.
  void learn(int ordinal, Keys before, Keys activated, Keys target);
  /// Of order 1: by expert of the target layer, how often it was activated where `expert` of layer `ordinal`
  /// was; empty where nothing comes so far behind. Valid until the next call.
  std::span<const double> counts(int ordinal, int expert);
  /// By expert of the target layer: the sum over what was activated of the share that it had then, added up
  /// in the order of `before`, for each of them in that of `activated`. Valid until the next call.
  std::span<const double> scores(int ordinal, Keys before, Keys activated);

 private:
  /// What came after one expert, or two.
  struct Row {
    std::uint32_t sum = 0;   // of its counts
    std::uint32_t wide = 0;  // 0: they are bytes; else they are in `wide`, in this place, from 1
  };
  struct Table {
    std::size_t width = 0;  // experts of the target layer
    std::vector<std::uint8_t> bytes;
    std::vector<std::int32_t> wide;
    std::vector<Row> rows;
    void learn(std::size_t row, Keys target, ExpertKey first, const std::uint8_t* added);
    void copy(std::size_t row, std::int32_t* into) const;
  };
  /// Into rows_, those that (before, activated) leads to.
  void find_rows(int ordinal, Keys before, Keys activated);

  const ExpertMap& map_;
  int order_, distance_;
  std::vector<Table> tables_;  // by ordinal; empty where nothing comes so far behind
  std::vector<std::size_t> rows_;
  std::vector<RowOfCounts> counted_;    // those rows that something came after, each 1 / its sum
  std::vector<std::int32_t> gathered_;  // counts
  std::vector<std::uint8_t> added_;     // by expert of the target layer: 1, where it was activated
  std::vector<double> scores_;
};

}  // namespace pregate::sim
