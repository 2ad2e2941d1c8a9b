// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/platform/machine_topology.hpp"

/// Ids of the machine with one GPU, as topology_of() gives them out.
namespace pregate::sim::one_gpu {

inline constexpr StreamId compute{0}, h2d{1}, d2h{2}, host{3}, ssd{4}, cpu{5};
inline constexpr ResourceId link_h2d{0}, link_d2h{1}, host_memory{2}, ssd_reads{3};
inline constexpr std::size_t streams = 6, resources = 4;

/// Its streams in order, its resources without limits.
inline Platform platform() {
  Platform platform;
  for (const char* name : {"compute", "h2d", "d2h", "host", "ssd", "cpu"}) platform.add_stream(name);
  for (const char* name : {"link_h2d", "link_d2h", "host_memory", "ssd"}) platform.add_resource(name, {});
  return platform;
}

}  // namespace pregate::sim::one_gpu
