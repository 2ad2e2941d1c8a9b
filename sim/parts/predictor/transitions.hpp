// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// How often experts of a layer were activated where others were, some MoE layers before: of order 1 by one
/// expert of that layer, of order 2 by one of that layer and one of the layer before it.
///
/// A score of order 2 adds as many rows up as a token has pairs of experts, which lie anywhere: what they
/// take is the memory's time. Counts of a table have one byte each until one of them is full, then two, then
/// four.
class Transitions {
 public:
  using Keys = std::span<const ExpertKey>;

  /// `map` must outlive this. Counts in `bytes_left`, which it lowers by what tables may grow to; InputError
  /// where they do not fit.
  Transitions(const ExpertMap& map, int order, int distance, std::int64_t& bytes_left);

  /// Of a table, and 1 / its sum.
  struct Row {
    std::size_t place;
    double each;
  };

  [[nodiscard]] int distance() const { return distance_; }
  /// That scores() will be asked for the same soon: begins to fetch what it reads. No more than a hint.
  void expect(int ordinal, Keys before, Keys activated);
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
  struct Table {
    std::size_t width = 0;  // experts of the target layer
    std::variant<std::vector<std::uint8_t>, std::vector<std::uint16_t>, std::vector<std::int32_t>> counts;
    std::vector<std::uint32_t> sums;
  };
  /// Into rows_, those that (before, activated) leads to.
  void find_rows(int ordinal, Keys before, Keys activated);

  const ExpertMap& map_;
  int order_, distance_;
  std::vector<Table> tables_;  // by ordinal; empty where nothing comes so far behind
  std::vector<std::size_t> rows_;
  std::vector<Row> known_;  // of those, the ones that something came after
  std::vector<double> scores_;
};

}  // namespace pregate::sim
