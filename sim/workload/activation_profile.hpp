// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/workload/routing.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// By key: share of the passes of its stack that activate it, over the first `part` of all steps, (0, 1], at
/// least one. Rewinds `source` before and after.
std::vector<double> activation_shares(trace::StepSource& source, const ExpertMap& map, double part = 1);

/// What a trace in a file activates.
struct ActivationProfile {
  std::vector<double> shares;  ///< as activation_shares(), by the keys of the asking trace's map
  std::string name;            ///< as profile_name()
};

/// For texts: the file, and what it holds.
std::string profile_name(const std::string& path, const trace::StepSource& source);

/// InputError at `where` when the file `path` is no trace, or one of a model with other MoE layers than
/// `map`.
ActivationProfile read_profile(const std::string& path, const ExpertMap& map, const std::string& where);

}  // namespace pregate::sim
