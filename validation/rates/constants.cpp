// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/rates/constants.hpp"

#include <algorithm>

namespace pregate::validation {

namespace {

double microseconds(Picoseconds time) { return time.seconds() * 1e6; }
double gigabytes(BytesPerSecond rate) { return rate.value / 1e9; }

void scale_time(Picoseconds& time, double factor) { time = from_seconds(time.seconds() * factor); }

void scale_link(LinkSpec& link, double factor) {
  link.bandwidth.value *= factor;
  link.pageable_bandwidth.value *= factor;
  for (CopyPoint& point : link.table) point.rate.value *= factor;
}

double read_share(const MachineSpec& machine) { return machine.host.compute.bandwidth_efficiency; }

/// Descriptions of hosts take this share of what their channels carry (STREAM); some hosts reach more.
constexpr double taken_of_channels = 0.75;

/// More than all of what the memory gives is a memory that gives more.
void scale_cpu_reads(MachineSpec& machine, double factor) {
  HostSpec& host = machine.host;
  const double share = read_share(machine) * factor, beyond = std::max(1.0, share);
  host.compute.bandwidth_efficiency = share / beyond;
  host.memory_bandwidth.value *= beyond;
  host.numa.bandwidth.value *= beyond;
  for (auto& [format, efficiency] : host.compute.formats)
    efficiency.bandwidth = std::min(1.0, efficiency.bandwidth * factor / beyond);
}

double one(const MachineSpec& /*machine*/) { return 1; }

std::vector<RateConstant> all() {
  std::vector<RateConstant> constants;
  constants.push_back({"memory",
                       "",
                       "share of the GPU's memory bandwidth that kernels reach",
                       {"gpu.memory_efficiency"},
                       [](const MachineSpec& machine) { return machine.gpu.memory_efficiency; },
                       [](MachineSpec& machine, double factor) { machine.gpu.memory_efficiency *= factor; },
                       0.05,
                       20,
                       one});
  constants.push_back({"launches",
                       "us",
                       "launches of a layer with experts; those of other layers and of copies in proportion",
                       {"overhead.attention", "overhead.gate", "overhead.experts", "overhead.dense_layer",
                        "overhead.device_copy"},
                       [](const MachineSpec& machine) {
                         const OverheadSpec& its = machine.overhead;
                         return microseconds(its.attention + its.gate + its.experts);
                       },
                       [](MachineSpec& machine, double factor) {
                         OverheadSpec& its = machine.overhead;
                         for (Picoseconds* time :
                              {&its.attention, &its.gate, &its.experts, &its.dense_layer, &its.device_copy})
                           scale_time(*time, factor);
                         visit_launches(its.layers, [&](Picoseconds& time) { scale_time(time, factor); });
                       }});
  constants.push_back({"cpu",
                       "GB/s",
                       "rate at which the host's memory gives the CPU experts",
                       {"host.compute.bandwidth_efficiency", "host.memory_bandwidth"},
                       [](const MachineSpec& machine) {
                         return gigabytes(machine.host.memory_bandwidth) * read_share(machine);
                       },
                       scale_cpu_reads,
                       0.05,
                       20,
                       [](const MachineSpec& machine) {
                         return gigabytes(machine.host.memory_bandwidth) / taken_of_channels;
                       }});
  constants.push_back({"link",
                       "GB/s",
                       "rate of large copies to the GPU, and with it those of all sizes",
                       {"link.h2d.bandwidth", "link.h2d.pageable_bandwidth"},
                       [](const MachineSpec& machine) { return gigabytes(machine.h2d.bandwidth); },
                       [](MachineSpec& machine, double factor) { scale_link(machine.h2d, factor); },
                       0.05,
                       4});
  constants.push_back({"compute",
                       "",
                       "share of the GPU's arithmetic rate that products reach",
                       {"gpu.compute_efficiency"},
                       [](const MachineSpec& machine) { return machine.gpu.compute_efficiency; },
                       [](MachineSpec& machine, double factor) { machine.gpu.compute_efficiency *= factor; },
                       0.05,
                       20,
                       one});
  constants.push_back(
      {"step",
       "us",
       "each pass: sampling, tokeniser, framework",
       {"overhead.step"},
       [](const MachineSpec& machine) { return microseconds(machine.overhead.step); },
       [](MachineSpec& machine, double factor) { scale_time(machine.overhead.step, factor); }});
  constants.push_back(
      {"cpu-layer",
       "us",
       "handing a layer's experts to the CPU and back",
       {"host.compute.fixed"},
       [](const MachineSpec& machine) { return microseconds(machine.host.compute.fixed); },
       [](MachineSpec& machine, double factor) { scale_time(machine.host.compute.fixed, factor); }});
  constants.push_back({"cpu-rate",
                       "",
                       "share of the CPU's arithmetic rate that its products reach",
                       {"host.compute.compute_efficiency"},
                       [](const MachineSpec& machine) { return machine.host.compute.compute_efficiency; },
                       [](MachineSpec& machine, double factor) {
                         machine.host.compute.compute_efficiency *= factor;
                         for (auto& [format, efficiency] : machine.host.compute.formats)
                           efficiency.compute = std::min(1.0, efficiency.compute * factor);
                         PackedShares& packed = machine.host.compute.packed;
                         for (double* share : {&packed.whole, &packed.blocks, &packed.super_blocks,
                                               &packed.codebook_8, &packed.codebook_4})
                           *share = std::min(1.0, *share * factor);
                       },
                       0.05,
                       20,
                       one});
  constants.push_back(
      {"copy",
       "us",
       "fixed time of a copy to the GPU",
       {"link.h2d.per_copy"},
       [](const MachineSpec& machine) { return microseconds(machine.h2d.per_copy); },
       [](MachineSpec& machine, double factor) { scale_time(machine.h2d.per_copy, factor); }});
  constants.push_back(
      {"readback",
       "us",
       "reading the chosen experts' ids back",
       {"overhead.gate_readback"},
       [](const MachineSpec& machine) { return microseconds(machine.overhead.gate_readback); },
       [](MachineSpec& machine, double factor) { scale_time(machine.overhead.gate_readback, factor); }});
  return constants;
}

}  // namespace

const std::vector<RateConstant>& rate_constants() {
  static const std::vector<RateConstant> constants = all();
  return constants;
}

double most_factor(const RateConstant& constant, const MachineSpec& machine) {
  if (constant.most_value == nullptr) return constant.most;
  return std::min(constant.most, constant.most_value(machine) / constant.value(machine));
}

}  // namespace pregate::validation
