// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "models/catalog.hpp"

namespace pregate::test {

/// A machine of the catalogue whose kernels are vLLM's.
inline MachineSpec driven_by_vllm(const std::string& machine, const std::vector<Override>& set = {}) {
  return load_machine(machine, set, {}, "vllm");
}

}  // namespace pregate::test
