// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/kernel_constants.hpp"
#include "sim/cost/kernel_model.hpp"

namespace pregate::validation {

using KernelShape =
    std::variant<sim::GemmShape, sim::MoeShape, sim::AttentionShape, sim::MlaShape, sim::LinearShape>;

/// One measured time of a kernel.
struct MeasuredKernel {
  KernelFamily family{};
  std::string dtype;
  KernelShape shape;
  sim::KernelFormat format, weights;  ///< `weights`: of the projections of mla_layer_decode
  std::optional<double> packed;       ///< KernelConstants::packed where the row's program says which it was
  bool launched = false;              ///< one by one, from Python, as its program does
  double seconds = 0;
  std::uint64_t hash = 0;  ///< of what was measured, not of its time
  bool judged = false;     ///< of the half that is not fitted (gates.toml)
};

/// The measurements of one GPU below `folder` (gemm.csv.gz ...; what is absent is left out), without the rows
/// whose weights fit its L2 cache. InputError for a file that cannot be read.
std::vector<MeasuredKernel> read_measured_kernels(const std::filesystem::path& folder, const GpuKernels& gpu);

/// What the model says to it, in seconds: as benchmarks repeat a call, attention finds in L2 what fits there.
double predicted_seconds(const MeasuredKernel& row, const KernelPeaks& gpu, KernelConstants constants);

}  // namespace pregate::validation
