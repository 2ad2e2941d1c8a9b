// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/workload/routing.hpp"

namespace pregate::sim {

inline constexpr int max_expert_gpus = 255;

/// A further copy of an expert's weights.
struct ExpertCopy {
  ExpertKey key = 0;
  std::uint8_t gpu = 0;
  bool operator==(const ExpertCopy&) const = default;
};

/// Which of `gpus` GPUs holds and computes each expert under expert parallelism.
struct ExpertHomes {
  int gpus = 1;                      ///< 1 .. max_expert_gpus
  std::vector<std::uint8_t> of_key;  ///< by key of the ExpertMap that it was made for: a GPU, 0 .. gpus - 1
  /// By key, then by GPU; the tokens of an expert are divided evenly over its home and its copies. A GPU may
  /// hold an expert twice, as EPLB's packing allows: it then gets the tokens of both.
  std::vector<ExpertCopy> copies;
  bool operator==(const ExpertHomes&) const = default;
};

/// Experts and copies of the layer that each GPU holds.
std::vector<int> held(const ExpertHomes& homes, const MoeLayer& layer);

}  // namespace pregate::sim
