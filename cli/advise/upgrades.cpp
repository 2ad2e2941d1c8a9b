// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/advise/advice.hpp"
#include "cli/advise/asked.hpp"

namespace pregate::cli {

namespace {

constexpr std::int64_t more_memory = std::int64_t{8} << 30;

/// Also those of other kinds beside it.
template <class Change>
void change_gpus(MachineSpec& machine, Change&& change) {
  change(machine);
  for (MachineSpec& other : machine.others) change(other);
}

void more_gpu_memory(MachineSpec& machine) {
  change_gpus(machine, [](MachineSpec& each) { each.gpu.memory.count += more_memory; });
}
void faster_gpu_memory(MachineSpec& machine) {
  change_gpus(machine, [](MachineSpec& each) {
    each.gpu.memory_bandwidth.value *= 2;
    each.gpu.device_copy_bandwidth.value *= 2;
  });
}
void make_links_faster(MachineSpec& machine) {
  for (LinkSpec* link : {&machine.h2d, &machine.d2h}) {
    link->bandwidth.value *= 2;
    link->pageable_bandwidth.value *= 2;
    for (CopyPoint& point : link->table) point.rate.value *= 2;
  }
}
void faster_link(MachineSpec& machine) { change_gpus(machine, make_links_faster); }
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

std::vector<Upgrade> upgrades(const MachineSpec& machine) {
  if (machine.gpu.host_memory_traffic.value > 0) {
    return {
        {"8 GiB more memory", more_shared_memory},
        {"memory twice as fast", faster_shared_memory},
        {"twice the cores", more_cores},
    };
  }
  const int gpus = gpus_of_host(machine);
  const std::string each = gpus > 1 ? " on each" : "", links = gpus > 1 ? "links" : "a link";
  std::vector<Upgrade> all{
      {"8 GiB more GPU memory" + each, more_gpu_memory},
      {"GPU memory twice as fast", faster_gpu_memory},
      {links + " twice as fast", faster_link},
      {"host memory twice as fast", faster_host_memory},
      {"twice the cores", more_cores},
  };
  if (machine.others.empty() && 2 * gpus <= most_gpus_a_host) {
    all.push_back({gpus == 1 ? "a second GPU of the same kind" : std::to_string(2 * gpus) + " such GPUs",
                   nullptr, 2 * gpus});
  }
  return all;
}

}  // namespace pregate::cli
