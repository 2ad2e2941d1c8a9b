// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/machine.hpp"
#include "models/model.hpp"
#include "sim/cost/kernel_times.hpp"

namespace pregate::sim {

/// Where the kernel times of a run come from.
struct KernelEvidence {
  struct Used {
    KernelFamily family{};
    std::string format;           ///< of the model's weights, or of its cache
    std::string dtype;            ///< whose constants: bf16's, with the format's bytes, where it has none
    std::optional<double> error;  ///< median relative error to expect; see GpuKernelTimes
  };
  std::string whose;
  KernelSource source = KernelSource::measured;
  std::string measured_on;
  std::vector<Used> used;              ///< each once
  std::vector<std::string> rooflines;  ///< mixers whose work over the cache no kernel was measured for
};

/// Of this model on this machine; without a value where the machine's software names no kernel library.
std::optional<KernelEvidence> kernel_evidence(const ModelSpec& model, const MachineSpec& machine);

/// In a line, for people.
std::string kernel_note(const KernelEvidence& evidence);

}  // namespace pregate::sim
