// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>

#include "sim/parallel/parallel_spec.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::sim {

/// GPUs of one stage that share attention, each with experts of its own.
inline ParallelSpec whole_experts(int gpus) { return {.tensor = gpus, .experts = ExpertShare::whole}; }

/// How two or four GPUs may share a model: layers, columns, experts, requests, and mixtures of these.
inline const std::array spreads{
    ParallelSpec{.pipeline = 2},
    ParallelSpec{.tensor = 2},
    whole_experts(4),
    ParallelSpec{.data = 2, .experts = ExpertShare::whole},
    ParallelSpec{.tensor = 2, .data = 2, .experts = ExpertShare::whole, .tokens = TokenExchange::route},
    ParallelSpec{.pipeline = 2, .tensor = 2, .experts = ExpertShare::whole}};

inline Override cut_into(int parts) { return {"compute.micro_batches", std::to_string(parts)}; }

/// GPUs with a link between them and links of 1 GB/s each way to a host's memory of so many bytes a second.
inline MachineSpec with_host_memory(double bandwidth) {
  MachineSpec machine = test::linked_machine();
  machine.d2h = machine.h2d;
  machine.host.memory_bandwidth = {bandwidth};
  return machine;
}

}  // namespace pregate::sim
