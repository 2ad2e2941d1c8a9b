// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/software.hpp"

#include <algorithm>

#include "models/document.hpp"
#include "models/fields/choices.hpp"
#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"
#include "models/formats/weight_format.hpp"
#include "models/readers.hpp"

namespace pregate {
namespace {

const Node* find_path(const Node& root, std::string_view path) {
  const Node* node = &root;
  while (node != nullptr && !path.empty()) {
    const std::size_t dot = path.find('.');
    node = node->kind == Node::Kind::table ? node->find(path.substr(0, dot)) : nullptr;
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  }
  return node;
}

template <typename Value>
Value choice_of(const Node& machine, const char* path) {
  const Node* named = find_path(machine, path);
  for (const Choice<Value>& each : choices<Value>()) {
    if (named != nullptr && named->kind == Node::Kind::text && named->text == each.name) return each.value;
  }
  return Value::other;
}

/// What of the GPU the software's costs go by, as the tree says; what is no such value is refused where the
/// machine is read.
GpuSpec gpu_of(const Node& machine) {
  GpuSpec gpu;
  gpu.architecture = choice_of<GpuArchitecture>(machine, "gpu.architecture");
  gpu.memory_kind = choice_of<GpuMemoryKind>(machine, "gpu.memory_kind");
  const Node* clock = find_path(machine, "gpu.clock_ghz");
  if (clock != nullptr && clock->kind == Node::Kind::real) gpu.clock_ghz = clock->real;
  if (clock != nullptr && clock->kind == Node::Kind::integer)
    gpu.clock_ghz = static_cast<double>(clock->integer);
  return gpu;
}

LayerLaunches<Picoseconds> launches_of(const LayerLaunches<int>& kernels, Picoseconds each) {
  const auto& [mixers, added] = kernels;
  return {.mixers = {.latent = each * mixers.latent,
                     .delta = each * mixers.delta,
                     .kimi_delta = each * mixers.kimi_delta,
                     .mamba2 = each * mixers.mamba2,
                     .mamba = each * mixers.mamba,
                     .convolution = each * mixers.convolution},
          .added = {.query_rank = each * added.query_rank,
                    .qk_norm = each * added.qk_norm,
                    .output_gate = each * added.output_gate,
                    .post_norm = each * added.post_norm,
                    .shared = each * added.shared,
                    .shared_gate = each * added.shared_gate,
                    .beside = each * added.beside}};
}

}  // namespace

OverheadSpec overhead_of(const SoftwareSpec& software, const GpuSpec& gpu) {
  const SoftwareSpec::Launch& launch = software.launch;
  const SoftwareSpec::Kernels& kernels = software.kernels;
  const bool own_cycles = gpu.memory_kind == GpuMemoryKind::hbm && launch.hbm_cycles > 0;
  const double cycles = own_cycles ? launch.hbm_cycles : launch.cycles;
  const bool by_clock = cycles > 0 && gpu.clock_ghz > 0;
  const Picoseconds least = by_clock ? from_seconds(cycles / (gpu.clock_ghz * 1e9)) : Picoseconds{};
  const Picoseconds eager = std::max(launch.eager, least);
  const Picoseconds graph = by_clock ? least : launch.graph;
  const bool replays = graph.count > 0 && launch.graph.count > 0 && graph < eager &&
                       gpu.architecture != GpuArchitecture::other && gpu.architecture >= launch.graphs_from;
  return {.step = software.host.step,
          .request = software.host.request,
          .lookup = software.host.lookup,
          .dense_layer = eager * kernels.dense_layer,
          .attention = eager * kernels.attention,
          .gate = eager * kernels.gate,
          .gate_readback = software.host.gate_readback,
          .experts = eager * kernels.experts,
          .expert = eager * kernels.expert,
          .device_copy = eager * kernels.device_copy,
          .layers = launches_of(kernels.layers, eager),
          .copy_calls = software.copies.calls,
          .replayed = replays ? graph.seconds() / eager.seconds() : 1,
          .kernel_library = kernels.origin,
          .single_launch = kernels.origin == KernelLibrary::none ? Picoseconds{} : eager - graph,
          .prompt_share = kernels.origin == KernelLibrary::none ? 1 : software.efficiency.prompt,
          .prompt_layer = replays ? software.host.prompt_layer : Picoseconds{},
          .launches_ahead = replays && software.host.launches_ahead};
}

std::string dense_format_in_files(const SoftwareSpec& software, const std::string& experts,
                                  const std::string& weights, const std::string& dense_weights) {
  if (!dense_weights.empty()) return dense_weights;
  if (!weights.empty()) {
    const DescribedFormat* chosen = described_format(weights);
    const bool holds_the_rest = chosen == nullptr || !chosen->feed_forward_only;
    return software.files.is_one_mix && holds_the_rest ? weights : std::string();
  }
  return experts == "mxfp4" ? software.files.beside_mxfp4 : std::string();
}

namespace {

/// Keys of the GPU that say how the software's kernels take weights and tokens.
bool is_of_kernels(const std::string& key) {
  return key == "gpu.unpacked_per_cycle" || key == "gpu.tile_flop" || key == "gpu.tile_tokens" ||
         key == "gpu.tile_scales" || key == "gpu.tile_fp4" || key == "gpu.tile_watts" ||
         key == "gpu.row_weights" || key == "gpu.activation_bytes" || key == "gpu.recurrence_cycles";
}

/// GPUs with HBM have their boost clock as low as their power needs it.
double tile_watts_of(const SoftwareSpec::Efficiency::Watts& watts, const GpuSpec& gpu) {
  if (gpu.memory_kind == GpuMemoryKind::hbm) return 0;
  switch (gpu.architecture) {
    case GpuArchitecture::turing:
      return watts.turing;
    case GpuArchitecture::ampere:
      return watts.ampere;
    case GpuArchitecture::ada:
      return watts.ada;
    case GpuArchitecture::blackwell:
      return watts.blackwell;
    default:
      return 0;
  }
}

}  // namespace

bool fill_in(Node& machine, const SoftwareSpec& software) {
  MachineSpec filled;
  filled.overhead = overhead_of(software, gpu_of(machine));
  filled.memory = software.memory;
  filled.gpu.memory_efficiency = software.efficiency.memory;
  filled.gpu.compute_efficiency = software.efficiency.compute;
  filled.gpu.unpacked_per_cycle = software.efficiency.unpacked;
  filled.gpu.row_weights = software.efficiency.row_weights;
  filled.gpu.recurrence_cycles = software.efficiency.recurrence;
  // Tiles of packed weights are products of int8, which tensor cores have from Turing on.
  if (gpu_of(machine).architecture >= GpuArchitecture::turing) {
    filled.gpu.tile_flop = software.efficiency.tile_flop;
    filled.gpu.tile_tokens = software.efficiency.tile_tokens;
    filled.gpu.tile_scales = software.efficiency.tile_scales;
    filled.gpu.tile_fp4 = software.efficiency.tile_fp4;
    filled.gpu.tile_watts = tile_watts_of(software.efficiency.tile_watts, gpu_of(machine));
    filled.gpu.activation_bytes = software.efficiency.activation_bytes;
  }
  bool any = false;
  filled.host.compute.bandwidth_efficiency = software.cpu.bandwidth;
  filled.host.compute.compute_efficiency = software.cpu.compute;
  filled.host.compute.fixed = software.cpu.layer;
  filled.host.compute.expert = software.cpu.expert;
  filled.host.compute.numa = software.cpu.numa;
  filled.host.compute.join = software.cpu.join;
  // A share that the machine says of all formats holds for all of them.
  if (find_path(machine, "host.compute.compute_efficiency") == nullptr)
    filled.host.compute.packed = software.cpu.packed;
  const Node* host = machine.find("host");
  const bool has_host = host != nullptr && host->kind == Node::Kind::table;
  for (const auto& [field, value, read] : machine_fields().entries()) {
    const bool is_of_cpu =
        field.key.starts_with("host.compute.") && !field.key.starts_with("host.compute.formats");
    const bool is_memory = field.key.starts_with("memory.");
    const bool is_its = field.key.starts_with("overhead.") || is_memory ||
                        field.key == "gpu.memory_efficiency" || field.key == "gpu.compute_efficiency" ||
                        is_of_kernels(field.key) || (is_of_cpu && has_host);
    const Node its_value = value(filled);
    if (!is_its || its_value.kind == Node::Kind::null || find_path(machine, field.key) != nullptr) continue;
    const std::size_t dot = field.key.find('.');
    const Node* table = machine.find(field.key.substr(0, dot));
    const bool is_read =
        table == nullptr ? is_memory || field.key.starts_with("overhead.") : table->kind == Node::Kind::table;
    if (!is_read) continue;  // the machine is refused for it
    // What few machines have and this software does not need is no part of it.
    const bool is_rare = is_memory || field.key == "overhead.request" || field.key == "overhead.lookup" ||
                         is_of_kernels(field.key);
    if (is_rare && written(field, its_value) == written(field, value(MachineSpec{}))) continue;
    set_value(machine, field.key, written(field, its_value), "software " + software.name);
    any = any || !is_of_cpu;
  }
  return any;
}

SoftwareSpec read_software(const Node& root, const std::string& name) {
  SoftwareSpec software;
  software.name = name;
  TableReader top(root, "");
  read_fields(software_fields(), software, top);
  if (auto sources = top.table_if("sources")) check_sources(root, sources->node());
  top.finish();
  check_ranges(software_fields(), software, root.where);
  if (software.launch.graph > software.launch.eager) {
    throw InputError(root.where, "launch.graph is slower than launch.eager",
                     "a graph that gains nothing is left out: launch.graph = 0");
  }
  return software;
}

}  // namespace pregate
