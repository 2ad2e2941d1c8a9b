// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/retime/copy_log.hpp"
#include "sim/retime/pass_lanes.hpp"
#include "sim/retime/pass_log.hpp"
#include "sim/retime/priced_log.hpp"
#include "sim/retime/sorted_blocks.hpp"
#include "sim/simulate.hpp"

namespace pregate::sim {

/// How a run of passes was timed.
struct PassTimes {
  std::vector<Picoseconds> segments;
  Picoseconds decode, exposed_transfer;
  CountedSums path;
  Histogram blocks;
};

/// What a run's passes take of a machine beside copies, and the sums over them all: the same of all policies
/// that differ in what they copy.
struct PricedRun {
  PricedLog log;
  CountedSums all;
  Picoseconds computing;
  std::int64_t computed = 0;          ///< operations outside of MoE layers
  std::vector<Picoseconds> segments;  ///< as DecidedRun::bounds
  Picoseconds decode;
  /// Of a policy that announces nothing.
  struct Blocks {
    int machines = 0;  ///< that were timed
    /// Once there are many.
    std::unique_ptr<const SortedBlocks> sorted;
  };
  std::vector<Blocks> blocks;  ///< by DecidedRun::number
};

/// What the policy decided, and where the passes lie between which requests are timed.
struct DecidedRun {
  struct Occurrence {
    std::uint32_t segment = 0;
    std::int64_t passes = 0;
  };
  std::size_t number = 0;  ///< among the policies whose passes are the same
  Plan plan;
  std::shared_ptr<const PassLog> passes;  ///< null: nothing was found
  std::unique_ptr<const CopyLog> copies;
  SimulationResult counted;  ///< all that is no time; times are numbers of passes
  /// Numbers of passes after which a request begins, has its first token or ends, ascending.
  std::vector<std::int64_t> bounds;
  std::vector<std::size_t> first_place;  ///< of each run, where layers announce, and one more: in `places`
  std::vector<Occurrence> places;
  std::vector<std::uint32_t> by_body;  ///< runs, those of a body after each other
  std::vector<std::int64_t> copied;    ///< by segment, where nothing is announced
  std::int64_t copied_in_decode = 0;   ///< likewise, of decode steps
  /// MoE layers that count as blocks, of one load and as many misses, where nothing is announced.
  struct BlockLayers {
    std::size_t load = 0;  ///< in PassLog::loads
    std::int64_t misses = 0, layers = 0;
  };
  std::vector<BlockLayers> block_layers;  ///< by load

  void find_segments();
  /// It is known, and no request arrives at a time.
  [[nodiscard]] bool is_usable() const {
    return passes != nullptr && copies != nullptr &&
           std::none_of(counted.request_records.begin(), counted.request_records.end(),
                        [](const RequestRecord& request) { return request.arrival.count > 0; });
  }
  [[nodiscard]] bool is_decode(const LoggedBody& body) const {
    return passes->shapes[body.shape].shape.phase == trace::Phase::decode;
  }
  [[nodiscard]] bool records_blocks(const LoggedBody& body) const {
    return is_decode(body) || plan.measures_all_phases;
  }
  [[nodiscard]] std::unique_ptr<PricedRun> sum_up(PricedLog priced) const;
  [[nodiscard]] PassTimes on_demand(PricedRun& priced, Picoseconds copy) const;
  [[nodiscard]] std::array<PassTimes, lane_count> ahead(
      const std::array<const PricedLog*, lane_count>& priced,
      const std::array<Picoseconds, lane_count>& copy) const;
  void finish(const PricedRun& priced, const CopyTrain& copy, PassTimes times,
              const SimulationOptions& options, SimulationResult& result) const;

 private:
  [[nodiscard]] std::vector<SortedBlocks::Layers> blocks(const PricedLog& priced) const;
  /// The distribution of their latencies.
  [[nodiscard]] Histogram add_blocks(const PricedLog& priced, Picoseconds copy) const;
};

}  // namespace pregate::sim
