// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/software.hpp"

#include "models/document.hpp"
#include "models/fields/choices.hpp"
#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"
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

/// As the tree says; what is no architecture is refused where the machine is read.
GpuArchitecture architecture_of(const Node& machine) {
  const Node* named = find_path(machine, "gpu.architecture");
  for (const Choice<GpuArchitecture>& each : choices<GpuArchitecture>()) {
    if (named != nullptr && named->kind == Node::Kind::text && named->text == each.name) return each.value;
  }
  return GpuArchitecture::other;
}

}  // namespace

OverheadSpec overhead_of(const SoftwareSpec& software, GpuArchitecture architecture) {
  const SoftwareSpec::Launch& launch = software.launch;
  const SoftwareSpec::Kernels& kernels = software.kernels;
  const bool replays = launch.graph.count > 0 && launch.graph < launch.eager &&
                       architecture != GpuArchitecture::other && architecture >= launch.graphs_from;
  return {
      .step = software.host.step,
      .request = software.host.request,
      .lookup = software.host.lookup,
      .dense_layer = launch.eager * kernels.dense_layer,
      .attention = launch.eager * kernels.attention,
      .gate = launch.eager * kernels.gate,
      .gate_readback = software.host.gate_readback,
      .experts = launch.eager * kernels.experts,
      .device_copy = launch.eager * kernels.device_copy,
      .replayed = replays ? launch.graph.seconds() / launch.eager.seconds() : 1,
      .kernel_library = kernels.origin,
      .single_launch = kernels.origin == KernelLibrary::none ? Picoseconds{} : launch.eager - launch.graph};
}

bool fill_in(Node& machine, const SoftwareSpec& software) {
  MachineSpec filled;
  filled.overhead = overhead_of(software, architecture_of(machine));
  filled.memory = software.memory;
  filled.gpu.memory_efficiency = software.efficiency.memory;
  filled.gpu.compute_efficiency = software.efficiency.compute;
  bool any = false;
  filled.host.compute.bandwidth_efficiency = software.cpu.bandwidth;
  filled.host.compute.compute_efficiency = software.cpu.compute;
  filled.host.compute.fixed = software.cpu.layer;
  filled.host.compute.expert = software.cpu.expert;
  filled.host.compute.numa = software.cpu.numa;
  const Node* host = machine.find("host");
  const bool has_host = host != nullptr && host->kind == Node::Kind::table;
  for (const auto& [field, value, read] : machine_fields().entries()) {
    const bool is_of_cpu =
        field.key.starts_with("host.compute.") && !field.key.starts_with("host.compute.formats");
    const bool is_memory = field.key.starts_with("memory.");
    const bool is_its = field.key.starts_with("overhead.") || is_memory ||
                        field.key == "gpu.memory_efficiency" || field.key == "gpu.compute_efficiency" ||
                        (is_of_cpu && has_host);
    const Node its_value = value(filled);
    if (!is_its || its_value.kind == Node::Kind::null || find_path(machine, field.key) != nullptr) continue;
    const std::size_t dot = field.key.find('.');
    const Node* table = machine.find(field.key.substr(0, dot));
    const bool is_read =
        table == nullptr ? is_memory || field.key.starts_with("overhead.") : table->kind == Node::Kind::table;
    if (!is_read) continue;  // the machine is refused for it
    // What few machines have and this software does not need is no part of it.
    const bool is_rare = is_memory || field.key == "overhead.request" || field.key == "overhead.lookup";
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
