// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "models/collective_constants.hpp"
#include "sim/cost/collective_model.hpp"

namespace pregate::validation {

/// One measured time of a collective.
struct MeasuredCollective {
  CollectiveLibrary library{};
  CollectiveLaunch launch{};
  Collective kind{};
  int gpus = 2;
  double bytes = 0;  ///< of the whole buffer: the files count elements
  double seconds = 0;
  bool judged = false;  ///< of the half that is not fitted (gates.toml)
};

/// Those of one kind of GPU below `folder` (nccl.csv.gz, allreduce.csv.gz). InputError for a file that cannot
/// be read.
std::vector<MeasuredCollective> read_measured_collectives(const std::filesystem::path& folder);

/// Whether this GPU's model prices the row by this fit of its.
bool is_of(const MeasuredCollective& row, const CollectiveFit& fit, const GpuCollectives& gpu);

/// Mean of |predicted / measured - 1|; 0 of no rows.
double mean_error(std::span<const MeasuredCollective> rows, const GpuCollectives& gpu);

}  // namespace pregate::validation
