// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/parallel/group_plan.hpp"

/// What the GPUs of a run, and their hosts, hold together.
namespace pregate::sim {

/// What the GPUs of each host hold in its memory, on its drive and in its near-data device.
class HostsMemory {
 public:
  void add(const PlannedRank& rank, const MemoryUse& use);
  /// `use` with that of the host that holds most, of each of them.
  void fill(MemoryUse& use) const;

 private:
  struct Held {
    Bytes memory, kv, drive, near_data;  // kv: of memory
  };
  std::vector<Held> hosts_;
};

/// Into the result what each GPU holds, and the host that holds most; the GPU that has least left.
const PlannedRank& add_up_memory(const PlannedRanks& ranks, SimulationResult& result);

/// Why a GPU, or a host for its GPUs, has not enough; empty: all fits.
std::string what_lacks_memory(const PlannedRanks& ranks, const MemoryUse& all, const ParallelSpec& spec,
                              const std::string& policy);

/// What the GPUs have for keys and values: of a stage, whose GPUs hold as much each, the one that has least.
std::vector<KvShare> kv_of(const PlannedRanks& ranks);

}  // namespace pregate::sim
