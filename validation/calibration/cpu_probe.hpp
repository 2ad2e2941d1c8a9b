// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "validation/calibration/calibrate.hpp"

namespace pregate::validation {

/// One layer's experts on the CPU.
struct CpuSample {
  int experts = 1;
  int routed = 1;  ///< tokens times experts, over all of them
  double seconds = 0;
};

/// time = fixed + experts x expert + routed x token.
struct CpuFit {
  double fixed = 0, expert = 0, token = 0;  ///< seconds, none negative
};

/// Least squares of the relative errors; a term that would be negative is left out and the others fitted
/// again. Precondition: a sample, all with seconds > 0.
CpuFit fit_cpu(const std::vector<CpuSample>& samples);

struct CpuProbe {
  CpuFit fit;
  std::vector<SpreadLine> spreads;
};

/// Runs of made-up passes through the runtime in which the CPU computes every expert.
CpuProbe probe_cpu(runtime::Device& device, const ModelSpec& model, int most_tokens,
                   const runtime::StoreOptions& experts, double seconds);

/// Puts a fit into the terms of the simulator, whose CPU takes fixed + experts x expert + the longer of
/// arithmetic and reading the weights: arithmetic is routed x token, and what reading takes beyond one
/// token's arithmetic is taken off `expert`.
void set_cpu(MachineSpec& machine, const CpuFit& fit, Bytes expert, double expert_flop_per_token);

}  // namespace pregate::validation
