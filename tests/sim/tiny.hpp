// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/catalog.hpp"
#include "sim/simulate.hpp"
#include "tests/support/list_source.hpp"

namespace pregate::test {

/// A decoder whose every layer is MoE: `layers` layers of `experts` experts, an expert is
/// 3 x d_model x 2 d_model x 4 bytes.
inline ModelSpec tiny_model(int layers, int experts, int top_k, int d_model = 64) {
  return parse_model_toml(
      "description = \"tiny\"\nsource = \"test\"\nfamily = \"mixtral\"\nd_model = " +
          std::to_string(d_model) +
          "\nvocabulary = 100\n"
          "[weights]\nexperts = \"fp32\"\ndense = \"fp32\"\nkv_cache = \"fp32\"\n"
          "[decoder]\nlayers = " +
          std::to_string(layers) +
          "\n[decoder.attention]\nheads = 4\nkv_heads = 4\nhead_dim = " + std::to_string(d_model / 4) +
          "\n[decoder.moe]\nexperts = " + std::to_string(experts) + "\ntop_k = " + std::to_string(top_k) +
          "\nffn_dim = " + std::to_string(2 * d_model) + "\ngated = true\n",
      "tiny");
}

/// Chooses a placement; `count` of those that have one.
inline void place(PolicySpec& policy, const std::string& kind, int count = -1) {
  choose(policy.placement.kind, sim::built_in_parts().placements, kind);
  if (count >= 0) policy.placement.kind.set("count", std::to_string(count));
}

/// Chooses in which order copies go.
inline void queue(PolicySpec& policy, const std::string& name) {
  choose(policy.transfer.queue, sim::built_in_parts().transfers, name);
}

inline constexpr Bytes tiny_expert{3 * 64 * 128 * 4};  ///< where d_model is 64

/// Round numbers: copies take 10 us + bytes at 1 GB/s (98,304 B: 108.304 us).
inline MachineSpec tiny_machine() {
  MachineSpec machine = load_machine("a100-80g-pcie4");
  machine.h2d = {.bandwidth = {1e9},
                 .latency = from_seconds(4e-6),
                 .per_copy = from_seconds(6e-6),
                 .pageable_bandwidth = {5e8},
                 .table = {}};
  machine.overhead = {.step = from_seconds(100e-6),
                      .dense_layer = from_seconds(50e-6),
                      .attention = from_seconds(40e-6),
                      .gate = from_seconds(10e-6),
                      .gate_readback = from_seconds(20e-6),
                      .experts = from_seconds(60e-6),
                      .device_copy = from_seconds(5e-6),
                      .single_launch = {}};
  return machine;
}

/// With a link between its GPUs: 5 us and 10 GB/s.
inline MachineSpec linked_machine() {
  MachineSpec machine = tiny_machine();
  machine.peer = {.bandwidth = {10e9}, .latency = from_seconds(4e-6), .per_copy = from_seconds(1e-6)};
  return machine;
}

/// 1 GB/s of GPU memory, which decides every roofline here.
inline MachineSpec slow_memory() {
  MachineSpec machine = tiny_machine();
  machine.gpu.memory_bandwidth = {1e9};
  machine.gpu.memory_efficiency = 1;
  return machine;
}

inline sim::SimulationResult run(const ModelSpec& model, const MachineSpec& machine, const PolicySpec& policy,
                                 trace::StepSource& source, const sim::SimulationOptions& options = {}) {
  const sim::PreparedTrace prepared(source, model, "test", options.serving);
  return sim::simulate(model, machine, policy, prepared, source, options);
}

}  // namespace pregate::test
