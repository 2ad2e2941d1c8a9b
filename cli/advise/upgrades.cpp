// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/advise/advice.hpp"

namespace pregate::cli {

namespace {

constexpr std::int64_t more_memory = std::int64_t{8} << 30;

void more_gpu_memory(MachineSpec& machine) { machine.gpu.memory.count += more_memory; }
void faster_gpu_memory(MachineSpec& machine) {
  machine.gpu.memory_bandwidth.value *= 2;
  machine.gpu.device_copy_bandwidth.value *= 2;
}
void faster_link(MachineSpec& machine) {
  for (LinkSpec* link : {&machine.h2d, &machine.d2h}) {
    link->bandwidth.value *= 2;
    link->pageable_bandwidth.value *= 2;
    for (CopyPoint& point : link->table) point.rate.value *= 2;
  }
}
void faster_host_memory(MachineSpec& machine) {
  machine.host.memory_bandwidth.value *= 2;
  machine.host.numa.bandwidth.value *= 2;
}
void more_cores(MachineSpec& machine) {
  machine.host.cores *= 2;
  machine.host.rate.value *= 2;
}

/// Of GPU and host at once.
void more_shared_memory(MachineSpec& machine) {
  machine.gpu.memory.count += more_memory;
  machine.host.memory.count += more_memory;
}
void faster_shared_memory(MachineSpec& machine) {
  faster_gpu_memory(machine);
  faster_host_memory(machine);
  faster_link(machine);
  machine.gpu.host_memory_traffic.value *= 2;
}

}  // namespace

const std::vector<Upgrade>& upgrades(const MachineSpec& machine) {
  static const std::vector<Upgrade> of_one_memory{
      {"8 GiB more memory", more_shared_memory},
      {"memory twice as fast", faster_shared_memory},
      {"twice the cores", more_cores},
  };
  if (machine.gpu.host_memory_traffic.value > 0) return of_one_memory;
  static const std::vector<Upgrade> all{
      {"8 GiB more GPU memory", more_gpu_memory},
      {"GPU memory twice as fast", faster_gpu_memory},
      {"a link twice as fast", faster_link},
      {"host memory twice as fast", faster_host_memory},
      {"twice the cores", more_cores},
  };
  return all;
}

}  // namespace pregate::cli
