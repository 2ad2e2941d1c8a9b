// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/document.hpp"
#include "models/machine.hpp"
#include "models/units.hpp"

namespace pregate {

/// What drives the GPU, apart from the machine: how many kernels it launches, how, and what its host code
/// costs.
struct SoftwareSpec {
  std::string name, description, source;

  struct Launch {
    /// From the end of a kernel to the end of the next one that does nothing, launched one by one.
    Picoseconds eager;
    Picoseconds graph;  ///< the same in a replayed CUDA graph; 0: it uses none
    GpuArchitecture graphs_from = GpuArchitecture::other;  ///< oldest on which it uses them
  } launch;

  /// Kernels launched a layer.
  struct Kernels {
    int attention = 1;    ///< norms and attention of a layer with experts
    int dense_layer = 1;  ///< a whole layer without
    int gate = 1;
    int experts = 1;  ///< each wave has them
    int device_copy = 1;
    /// Whose kernels these are. With a library the counts are of what it does not price, and its kernels come
    /// on top.
    KernelLibrary origin = KernelLibrary::none;
  } kernels;

  /// Time that the GPU stands still for the host.
  struct Host {
    Picoseconds step;           ///< each pass: sampling, tokeniser, framework
    Picoseconds gate_readback;  ///< a blocking copy of the chosen ids
    Picoseconds request = {};   ///< first pass of a request, where experts can be missing
    Picoseconds lookup = {};    ///< of an activated expert, where some can be missing
  } host;

  /// Shares that its kernels reach.
  struct Efficiency {
    double memory = 1, compute = 1;
  } efficiency;

  /// Of experts that the CPU computes.
  struct Cpu {
    double bandwidth = 0.8;         ///< share of host.memory_bandwidth that reading weights reaches
    double compute = 0.3;           ///< share of host.rate that the products reach
    Picoseconds layer{20'000'000};  ///< hand-over to its threads, their barriers, and back
    Picoseconds expert{};
    NumaUse numa = NumaUse::interleaved;
  } cpu;

  SoftwareMemorySpec memory;
  int prompt_chunk = 0;  ///< most prompt tokens a pass, where none is given; 0: whole prompts
};

/// The overheads of a machine of this architecture that the software drives.
OverheadSpec overhead_of(const SoftwareSpec& software, GpuArchitecture architecture);

/// Fills in what a machine's tree leaves out and the software says: [overhead] and [host.compute] key by key,
/// [memory] where it says something, gpu.memory_efficiency and gpu.compute_efficiency. Returns whether there
/// was anything but [host.compute], which a machine may leave out that says all else itself.
bool fill_in(Node& machine, const SoftwareSpec& software);

}  // namespace pregate
