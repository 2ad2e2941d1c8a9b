// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/fitted_rates.hpp"
#include "models/kernel_times.hpp"
#include "models/layer_launches.hpp"
#include "models/units.hpp"

namespace pregate {

/// One measured point of a copy: achieved rate of a copy of this size, its fixed cost included.
struct CopyPoint {
  Bytes size;
  BytesPerSecond rate;
};

/// One direction of a link. A copy takes latency + per_copy + size / bandwidth, unless `table` is present:
/// then size / rate(size), with rate interpolated linearly in log2(size) and held constant beyond the ends.
struct LinkSpec {
  BytesPerSecond bandwidth;           ///< effective for large pinned copies, not nominal
  Picoseconds latency;                ///< before the first byte moves; holds the copy engine, not the bus
  Picoseconds per_copy;               ///< fixed cost of issuing a copy (driver, DMA set-up); holds the engine
  BytesPerSecond pageable_bandwidth;  ///< from pageable host memory
  std::vector<CopyPoint> table;       ///< sizes strictly increasing
};

/// A way between devices that is no link between a GPU and its host: each direction alike. A copy takes
/// latency + per_copy + size / bandwidth.
struct PathSpec {
  BytesPerSecond bandwidth;  ///< as reached; 0 = there is none
  Picoseconds latency, per_copy;
};

/// By age. `other`: not said, or another vendor's.
enum class GpuArchitecture { other, volta, turing, ampere, ada, hopper, blackwell };

/// What a GPU's own memory is made of. `other`: not said.
enum class GpuMemoryKind { other, gddr, hbm, lpddr };

struct GpuSpec {
  std::string name;
  GpuArchitecture architecture = GpuArchitecture::other;
  std::string others;  ///< machines whose GPUs are beside this one, "a,b"; resolved in MachineSpec::others
  int count = 1;       ///< GPUs alike in each host, each behind links of its own
  Bytes memory;        ///< as sold
  Bytes reserved;      ///< context, driver, framework: usable = memory - reserved
  BytesPerSecond memory_bandwidth;
  GpuMemoryKind memory_kind = GpuMemoryKind::other;
  double memory_efficiency = 1;  ///< share of memory_bandwidth that weight-streaming kernels reach, (0, 1]
  /// Packed weights (of fewer than 16 bits) that a multiprocessor unpacks and multiplies in a cycle, in a
  /// pass of few tokens; 0, or without clock_ghz: the memory alone decides. Of the software.
  double unpacked_per_cycle = 0;
  /// FLOP a cycle that a multiprocessor reaches in tiles of packed weights, in a pass of more than 8 tokens;
  /// 0, or without clock_ghz: the rate of the precision decides. A tile is as wide as the pass, at most
  /// tile_tokens, and computed whole whatever fills it. Of the software.
  double tile_flop = 0;
  int tile_tokens = 128;
  /// Share of the time of such a tile that scales take, where products apply one to every 32 weights; they
  /// take twice that where it is one for every 16. Of the software.
  double tile_scales = 0;
  /// Times as fast as other tiles are those of mxfp4 and nvfp4 where rates has fp4, whose scales the tensor
  /// cores apply; 0: no kernels for them. Of the software.
  double tile_fp4 = 0;
  /// Watts of `power` for each multiprocessor and GHz below which tiles run at a lower clock; 0: never. Of
  /// the software, by architecture.
  double tile_watts = 0;
  /// Least weights that a row of a matrix-vector product counts for, as a block of threads has to be filled;
  /// 0: as many as it has. Of the software.
  double row_weights = 0;
  /// Bytes of a number between kernels that are computed in tiles, each written and read in memory; 0: kept
  /// on the chip. Of the software.
  double activation_bytes = 0;
  /// Cycles a token that a kernel takes which goes through a prompt one token after the other (a delta rule);
  /// 0: its arithmetic decides. Of the software.
  double recurrence_cycles = 0;
  std::map<std::string, FlopPerSecond>
      rates;                             ///< dense rates by precision: fp32, tf32, fp16, bf16, fp8, fp4, int8
  double compute_efficiency = 1;         ///< share of the rate that GEMMs reach, (0, 1]
  BytesPerSecond device_copy_bandwidth;  ///< device-to-device copy, bytes copied a second (one direction)
  int sm_count = 0;
  double clock_ghz = 0;  ///< boost clock of the multiprocessors; 0: not said
  double power = 0;      ///< W that the board may take; 0: not said
  /// Tiled grouped GEMM: when tile_rows > 0 an expert GEMM is priced by whole output tiles, as a kernel that
  /// pads each expert's tokens to tile_rows x tile_columns runs them, in waves of one tile an SM.
  int grouped_gemm_tile_rows = 0;
  int grouped_gemm_tile_columns = 0;
  double grouped_gemm_efficiency = 1;  ///< share of the SM's rate reached inside a tile
  /// What kernels take of host.memory_bandwidth while they run, in bytes copied a second: 0 for a GPU with
  /// memory of its own. Copies in flight and kernels then slow each other down (docs/model.md).
  BytesPerSecond host_memory_traffic;
};

/// Whose kernels run: the constants of models/catalog/kernels price them (docs/kernel-times.md).
enum class KernelLibrary {
  none,  ///< nobody's that were measured: rooflines
  vllm,
};

/// Fixed costs of the software that drives the GPU. Host time that the GPU cannot hide.
struct OverheadSpec {
  Picoseconds step;           ///< each forward pass: sampling, tokeniser, framework
  Picoseconds request = {};   ///< first pass of a request, where experts can be missing: making their buffers
  Picoseconds lookup = {};    ///< host: finding an activated expert in the cache, where some can be missing
  Picoseconds dense_layer;    ///< launches of the kernels of a layer without MoE
  Picoseconds attention;      ///< launches of attention and norms in a MoE layer
  Picoseconds gate;           ///< router kernels
  Picoseconds gate_readback;  ///< blocking copy of the chosen ids to the host
  Picoseconds experts;        ///< launches of permute, expert GEMMs, combine; each wave pays it
  Picoseconds expert =
      {};  ///< launches on top for each expert of a wave: of software that takes them in turn
  Picoseconds device_copy;  ///< each device-to-device copy
  /// Launches of layers that are not the plain one of `attention`, `dense_layer` and `experts`.
  LayerLaunches<Picoseconds> layers = {};
  /// Calls that copy an expert to the GPU, each with the link's fixed costs; 0: one kernel gathers those that
  /// a layer misses, without any.
  int copy_calls = 1;
  /// Share of dense_layer, attention, gate, experts, expert and layers that is left where a pass is replayed
  /// as a whole: where every expert is resident, so that the host decides nothing within it.
  double replayed = 1;
  KernelLibrary kernel_library = KernelLibrary::none;
  /// With a kernel library: what a kernel whose time is known costs beyond it where it is launched one by one
  /// and not replayed.
  Picoseconds single_launch = {};
  /// With a kernel library: share of its kernels' rates that a pass of prompts reaches.
  double prompt_share = 1;
  /// Host: launching a layer of a pass with prompts, where passes without are replayed: the GPU waits for it
  /// where its own work takes less.
  Picoseconds prompt_layer = {};
  /// Host: the next pass is launched before the tokens of the last are handed out.
  bool launches_ahead = false;
};

/// How the CPU's threads and the experts lie on the nodes of a host's memory.
enum class NumaUse {
  interleaved,  ///< page by page over all nodes, threads everywhere
  one_node,     ///< experts and threads at one node
  copies,       ///< threads everywhere, every node with a copy of all experts
};

/// What the software holds of GPU memory beside weights, experts in slots, KV cache and activations.
struct SoftwareMemorySpec {
  /// Context, libraries, workspaces and its other buffers of one size; 0: not said, and GpuSpec::reserved and
  /// the workspace of a GEMM library stand for it.
  Bytes framework = {};
  double layer_experts = 0;  ///< buffers that grow with the experts, in experts of its largest MoE layer
  double fragmentation = 0;  ///< what its allocator holds and nothing uses, as a share of all else
  /// Experts that live on the GPU for the whole run are in the host's memory as well, from where they came.
  bool host_copies = true;
  /// The input embedding is looked up in the host's memory and is not on the GPU.
  bool host_embeddings = false;
  /// Tokens of the largest pass that it reserves buffers for, whatever the prompts are: activations in fp32,
  /// and logits of every one of them; 0: activations of the passes that there are.
  int reserved_tokens = 0;
  int cache_cells = 1;  ///< the KV cache has a multiple of so many entries a sequence
};

/// How fast the CPU computes experts. An expert in the cache of no core is read from memory once.
/// What products of weights reach on a CPU, by how the format packs them (models/formats/packing.hpp): shares
/// of the rate that vectors of 256 bits have (HostSpec::narrow_rate). 0 = not said: compute_efficiency.
struct PackedShares {
  double whole = 0, blocks = 0, super_blocks = 0, codebook_8 = 0, codebook_4 = 0;
  bool operator==(const PackedShares&) const = default;
};

struct HostComputeSpec {
  double bandwidth_efficiency = 0.8;  ///< share of host.memory_bandwidth that reading weights reaches, (0, 1]
  double compute_efficiency = 0.3;    ///< share of host.rate that the products reach, (0, 1]
  Picoseconds fixed{20'000'000};      ///< hand-over to the threads, their barriers, and back, a layer
  Picoseconds expert{};               ///< beginning an expert
  NumaUse numa = NumaUse::interleaved;
  /// The two shares by weight format, where unpacking makes a difference.
  struct Efficiency {
    double bandwidth = 0.8, compute = 0.3;
  };
  std::map<std::string, Efficiency> formats;
  PackedShares packed = {};
  /// Limits a and b of what weights are read and multiplied at leave (a^-join + b^-join)^(-1/join): the
  /// memory's and the cores' (HostSpec::core_bandwidth) of reading, that and the arithmetic's. 0: the lower
  /// one, and of reading the memory's alone.
  double join = 0;
};

/// The host's memory by NUMA node: equal parts, over which experts lie interleaved, page by page. The GPU is
/// at one of them.
struct NumaSpec {
  int nodes = 1;
  BytesPerSecond bandwidth;  ///< from one node to another, each direction; of nodes > 1
};

struct HostSpec {
  std::string source;  ///< where its numbers come from, as its file says
  std::string cpu;
  int cores = 0;
  Bytes memory;
  BytesPerSecond memory_bandwidth;  ///< shared by copies in flight and CPU work
  FlopPerSecond rate;               ///< fp32, all cores
  /// What a core reads of memory when all do and the memory could deliver more: its line-fill buffers over
  /// the latency, or its part of its chiplet's link. 0 = the memory alone bounds them.
  BytesPerSecond core_bandwidth = {};
  int flop_per_cycle = 32;  ///< of a core, as `rate` counts them: 32 = two vectors of 256 bits, multiply-add
  NumaSpec numa;
  HostComputeSpec compute;  ///< a machine file may leave it out: the estimates above

  /// `rate`, as far as vectors of 256 bits take part in it.
  [[nodiscard]] FlopPerSecond narrow_rate() const {
    constexpr int of_narrow = 32;
    return {flop_per_cycle > of_narrow ? rate.value * of_narrow / flop_per_cycle : rate.value};
  }
};

/// A device beside a memory of its own that computes experts there.
struct NearDataSpec {
  std::string name;
  Bytes memory;                     ///< 0 = there is no such device
  BytesPerSecond memory_bandwidth;  ///< that its units reach; 0 = as the host's
  FlopPerSecond rate;               ///< 0 = as the host's
  Picoseconds fixed;                ///< starting it, a layer
  PathSpec link;                    ///< to the GPU; bandwidth 0 = as the GPU's link to its host
};

/// Several such hosts, alike, with their GPUs, and the way between two of them: host memory to host memory.
struct NetworkSpec {
  int hosts = 1;
  BytesPerSecond bandwidth;  ///< of hosts > 1, each direction
  Picoseconds latency, per_copy;
};

/// GPUs that a host may have, hosts that a machine may have, and GPUs of them all.
inline constexpr int most_gpus_a_host = 8, most_hosts = 32, most_gpus = most_gpus_a_host * most_hosts;

struct SsdSpec {
  Bytes capacity;
  BytesPerSecond read_bandwidth;
  Picoseconds latency;
  int read_depth = 1;  ///< reads that it works on at a time
};

/// A host apart from a GPU, which takes the place of a machine's own.
struct HostDescription {
  std::string name, description, source;
  HostSpec host;
  std::optional<SsdSpec> ssd;  ///< absent: the machine keeps its own
};

struct MachineSpec {
  std::string name, description, source;
  /// GPUs of other kinds beside its own, each as the machine that gpu.others names for it, with that one's
  /// links to the host; the host itself is this machine's.
  std::vector<MachineSpec> others = {};
  /// "datasheet" (nothing measured), "fitted" (constants fitted on published rows, named in
  /// `calibration_source`) or "measured" (on this machine).
  std::string calibration = "datasheet";
  std::string calibration_source;
  GpuSpec gpu;
  LinkSpec h2d, d2h;  ///< keys link.h2d and link.d2h
  PathSpec peer;      ///< key link.peer: from GPU to GPU of a host; without it copies go through the host
  HostSpec host;
  NearDataSpec near_data;
  NetworkSpec network;
  std::string replaced_host;  ///< name of the host description that took its own one's place; empty: its own
  SsdSpec ssd;
  OverheadSpec overhead;
  SoftwareMemorySpec memory;  ///< key memory
  /// Name of what filled overhead in, or of what the file says that it was fitted with; empty: neither.
  std::string software;
  /// Measured time of the fused expert layer, whatever the model; overrides the roofline.
  std::vector<ExpertKernelPoint> expert_kernel_table;
  /// Times measured for layers of certain dimensions; they come before all else.
  std::vector<KernelTimes> kernel_times;
  FittedRates fit;  ///< the rows that its constants were fitted on, where they are of the user's own
  std::string measured_device;  ///< name of the device that was measured; empty otherwise
  /// How much repeats of one measurement differed when it was measured, relative; 0 = not measured.
  double measured_spread = 0;
};

/// Above this spread, what was measured says more about the machine's other work than about the machine.
inline constexpr double most_measured_spread = 0.15;

/// The precisions that GpuSpec::rates may hold.
std::vector<std::string> precision_names();

/// The rate at which `gpu` runs arithmetic of this precision. One it lacks runs in the next wider one that it
/// has, as libraries do it: fp8, fp4 and int8 weights are widened to bf16 or fp16, bf16 and fp16 stand in for
/// each other (a T4 has no bf16), and at last comes fp32. InputError for an unknown precision.
FlopPerSecond compute_rate(const GpuSpec& gpu, const std::string& precision);

/// Throws InputError when a number is missing, zero, negative, not finite or absurd.
void validate(const MachineSpec& machine, const std::string& where);
void validate(const HostSpec& host, const std::string& where);
void validate(const SsdSpec& ssd, const std::string& where);

}  // namespace pregate
