// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/expert_homes.hpp"

namespace pregate::sim {

std::vector<int> held(const ExpertHomes& homes, const MoeLayer& layer) {
  std::vector<int> counts(static_cast<std::size_t>(homes.gpus));
  const ExpertKey end = layer.first_key + static_cast<ExpertKey>(layer.experts);
  for (ExpertKey key = layer.first_key; key < end; ++key) ++counts[homes.of_key[key]];
  for (const ExpertCopy& copy : homes.copies)
    if (copy.key >= layer.first_key && copy.key < end) ++counts[copy.gpu];
  return counts;
}

}  // namespace pregate::sim
