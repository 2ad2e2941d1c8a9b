// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/retime/copy_log.hpp"
#include "sim/retime/pass_log.hpp"
#include "sim/run/stack_lookups.hpp"

namespace pregate::sim {

/// What plans miss that copy on demand and whose caches are looked up together: a layer's hits in the caches
/// of all plans are the sum of a row for each of its experts' distances, with a 1 for each cache that is as
/// deep. So the work of a layer is an addition for each expert and a count for each plan, not a look at each
/// expert for each plan.
class SharedMisses {
 public:
  SharedMisses(const ExpertMap& map, std::span<const Plan* const> plans);

  /// A pass that was looked up. Of each plan, how many of its activated experts hit; valid until the next
  /// call.
  std::span<const std::uint32_t> add(const Pass& pass, std::uint32_t body, const PassLog& passes,
                                     const StackLookups& lookups);
  /// What CopyLog::misses is of the plan.
  [[nodiscard]] std::vector<LoggedMisses> misses_of(std::size_t plan) const;
  /// As of PassLog.
  [[nodiscard]] std::size_t words() const { return layers_.size() * 2; }

 private:
  /// Plans whose hits are added side by side.
  static constexpr std::size_t block = 16;
  using Hits = std::uint16_t;
  /// Rows by distance, the last one that of all that are farther.
  struct Table {
    std::vector<std::int64_t> capacities;  ///< by plan
    std::vector<Hits> rows;
    std::size_t farthest = 0;
  };
  /// Where a body's layers are counted: by load, plan and hits.
  struct Counted {
    std::size_t first = 0, width = 0, loads = 0;  ///< width: 0 to as many hits as a layer may have
  };
  std::size_t table_of(const std::vector<std::int64_t>& capacities);
  Counted& counted(std::uint32_t body, const PassLog& passes);
  void add_layer(const Table& table, std::span<const std::uint32_t> distances, std::int64_t* layers,
                 std::size_t width);

  const ExpertMap& map_;
  std::size_t plans_, stride_;
  std::vector<Table> tables_;
  std::vector<std::size_t> table_of_layer_;            // by ordinal
  std::vector<Counted> counted_;                       // by body
  std::vector<std::vector<std::uint32_t>> activated_;  // by body and load
  std::vector<std::int64_t> layers_;
  std::vector<Hits> hits_;                   // of a layer, by plan
  std::vector<std::uint32_t> hits_of_pass_;  // by plan
};

}  // namespace pregate::sim
