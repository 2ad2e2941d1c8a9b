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
    /// Multiprocessor cycles that a kernel takes beyond what it reads and computes, where a GPU says its
    /// clock: no launch takes less, and one in a graph takes that. 0: `eager` and `graph` hold everywhere.
    double cycles = 0;
    double hbm_cycles = 0;  ///< the same on GPUs with HBM; 0: as `cycles`
  } launch;

  /// Kernels launched a layer.
  struct Kernels {
    int attention = 1;    ///< norms and attention of a layer with experts
    int dense_layer = 1;  ///< a whole layer without
    int gate = 1;
    int experts = 1;  ///< each wave has them
    int expert = 0;   ///< on top for each expert of a wave; 0: one kernel takes all
    int device_copy = 1;
    LayerLaunches<int> layers = {};  ///< of layers that are not the plain one
    /// Whose kernels these are. With a library the counts are of what it does not price, and its kernels come
    /// on top.
    KernelLibrary origin = KernelLibrary::none;
  } kernels;

  /// Time that the GPU stands still for the host.
  struct Host {
    Picoseconds step;               ///< each pass: sampling, tokeniser, framework
    Picoseconds gate_readback;      ///< a blocking copy of the chosen ids
    Picoseconds request = {};       ///< first pass of a request, where experts can be missing
    Picoseconds lookup = {};        ///< of an activated expert, where some can be missing
    Picoseconds prompt_layer = {};  ///< OverheadSpec::prompt_layer
    bool launches_ahead = false;    ///< OverheadSpec::launches_ahead
  } host;

  /// How it copies experts to the GPU.
  struct Copies {
    int calls = 1;  ///< OverheadSpec::copy_calls
  } copies;

  /// Shares that its kernels reach.
  struct Efficiency {
    double memory = 1, compute = 1;
    double unpacked = 0;   ///< GpuSpec::unpacked_per_cycle
    double tile_flop = 0;  ///< GpuSpec::tile_flop, from Turing on
    int tile_tokens = 128;
    double tile_scales = 0;  ///< GpuSpec::tile_scales
    double tile_fp4 = 0;     ///< GpuSpec::tile_fp4
    double row_weights = 0;  ///< GpuSpec::row_weights
    /// GpuSpec::tile_watts by architecture, of GPUs whose memory is no HBM.
    struct Watts {
      double turing = 0, ampere = 0, ada = 0, blackwell = 0;
    } tile_watts = {};
    double activation_bytes = 0;  ///< GpuSpec::activation_bytes
    double recurrence = 0;        ///< GpuSpec::recurrence_cycles
    double prompt = 1;            ///< OverheadSpec::prompt_share
  } efficiency;

  /// Of experts that the CPU computes.
  struct Cpu {
    double bandwidth = 0.8;         ///< share of host.memory_bandwidth that reading weights reaches
    double compute = 0.3;           ///< share of host.rate that the products reach
    Picoseconds layer{20'000'000};  ///< hand-over to its threads, their barriers, and back
    Picoseconds expert{};
    NumaUse numa = NumaUse::interleaved;
    PackedShares packed;  ///< HostComputeSpec::packed
    double join = 0;      ///< HostComputeSpec::join
  } cpu;

  /// How the files that it reads hold a model.
  struct Files {
    bool is_one_mix = false;   ///< a format chosen for the experts is that of the rest as well
    std::string beside_mxfp4;  ///< format of the rest where the model's experts
                               ///< are mxfp4; empty: its own
  } files;

  /// Passes that it keeps under way at once in stages of layers on several GPUs.
  struct Pipeline {
    bool batch_a_stage = false;  ///< as many batches as stages, where requests are served continuously
    int prompt_parts = 1;        ///< else of the parts of a prompt, at most
  } pipeline;

  SoftwareMemorySpec memory;
  int prompt_chunk = 0;  ///< most prompt tokens a pass, where none is given; 0: whole prompts
};

/// The overheads of a machine that the software drives; of `gpu` the architecture, the clock and the kind of
/// memory count.
OverheadSpec overhead_of(const SoftwareSpec& software, const GpuSpec& gpu);

/// The format that a file for this software gives all but the experts, where the user chose `weights` and
/// `dense_weights` (empty: nothing) and the model's experts are `experts`; empty: as the model describes it.
std::string dense_format_in_files(const SoftwareSpec& software, const std::string& experts,
                                  const std::string& weights, const std::string& dense_weights);

/// Fills in what a machine's tree leaves out and the software says: [overhead] and [host.compute] key by key,
/// [memory] where it says something, gpu.memory_efficiency and gpu.compute_efficiency. Returns whether there
/// was anything but [host.compute], which a machine may leave out that says all else itself.
bool fill_in(Node& machine, const SoftwareSpec& software);

}  // namespace pregate
