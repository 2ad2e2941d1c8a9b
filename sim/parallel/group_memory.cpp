// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/group_memory.hpp"

#include <algorithm>

namespace pregate::sim {

void HostsMemory::add(const PlannedRank& rank, const MemoryUse& use) {
  const auto host = static_cast<std::size_t>(rank.host);
  if (hosts_.size() <= host) hosts_.resize(host + 1);
  hosts_[host].memory += use.host;
  hosts_[host].kv += use.host_kv;
  hosts_[host].drive += use.drive;
  hosts_[host].near_data += use.near_data;
}

void HostsMemory::fill(MemoryUse& use) const {
  use.host = use.host_kv = use.drive = use.near_data = {};
  for (const Held& held : hosts_) {
    use.host = std::max(use.host, held.memory);
    use.host_kv = std::max(use.host_kv, held.kv);
    use.drive = std::max(use.drive, held.drive);
    use.near_data = std::max(use.near_data, held.near_data);
  }
}

const PlannedRank& add_up_memory(const PlannedRanks& ranks, SimulationResult& result) {
  const PlannedRank* fullest = ranks.front().get();
  HostsMemory hosts;
  for (const std::unique_ptr<PlannedRank>& rank : ranks) {
    const MemoryUse& memory = rank->result.memory;
    hosts.add(*rank, memory);
    if (memory.left() < fullest->result.memory.left()) fullest = rank.get();
    result.gpus.push_back({.memory = memory.total(), .cache_slots = rank->result.cache_slots});
  }
  result.memory = fullest->result.memory;
  hosts.fill(result.memory);
  result.cache_slots = fullest->result.cache_slots;
  result.buffer_slots = fullest->result.buffer_slots;
  result.prefill_slots = fullest->result.prefill_slots;
  result.largest_pass = fullest->result.largest_pass;
  return *fullest;
}

std::vector<KvShare> kv_of(const PlannedRanks& ranks) {
  std::vector<KvShare> kv;
  int stage = -1;
  for (const std::unique_ptr<PlannedRank>& rank : ranks) {
    const Bytes held = rank->result.memory.peak[static_cast<std::size_t>(MemoryPurpose::kv_cache)];
    if (rank->rank.stage != stage) kv.push_back({&rank->rank.model, held});
    kv.back().memory = std::min(kv.back().memory, held);
    stage = rank->rank.stage;
  }
  return kv;
}

std::string what_lacks_memory(const PlannedRanks& ranks, const MemoryUse& all, const ParallelSpec& spec,
                              const std::string& policy) {
  for (const std::unique_ptr<PlannedRank>& rank : ranks) {
    if (rank->plan) continue;
    return "GPU " + std::to_string(rank->rank.number) + " of " + std::to_string(spec.gpus()) + ": " +
           rank->result.out_of_memory_reason;
  }
  const bool host_is_full = all.host_usable && all.host > *all.host_usable;
  const bool lacks = host_is_full || all.drive > all.drive_capacity || all.near_data > all.near_data_capacity;
  return lacks ? all.explain(policy, ranks.front()->limits.name) : "";
}

}  // namespace pregate::sim
