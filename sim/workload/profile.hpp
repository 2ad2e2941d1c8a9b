// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "sim/workload/routing.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// The trace in the file `path`, from which the policy's key `where` learns beforehand; where `map` is a part
/// of a model (ExpertMap::whole()) what that part sees of it. InputError when it is no trace, or one of a
/// model with other MoE layers.
std::unique_ptr<trace::StepSource> open_profile(const std::string& path, const ExpertMap& map,
                                                const std::string& where);

}  // namespace pregate::sim
