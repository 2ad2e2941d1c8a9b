// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sim/cache/expert_cache.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Fills `profile` and `start` of the geometry from the trace in the file `path`: each domain starts with
/// those of its experts that it activates most, as many as fit. Returns a note that says so. InputError when
/// it is no trace, or one of a model with other MoE layers.
std::string start_from_profile(cache::CacheGeometry& geometry, const ExpertMap& map, const std::string& path);

/// Fills `start` with the experts of the lowest ids, as many as fit. Returns a note that says so.
std::string start_from_ids(cache::CacheGeometry& geometry);

}  // namespace pregate::sim
