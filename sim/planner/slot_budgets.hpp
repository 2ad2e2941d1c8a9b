// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/policy/policy.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Of each layer what it misses with 0, 1, 2... slots, never more with more; a layer has no more slots than
/// its list says. The slots of each that together miss least, `slots` of them or all there can be; of several
/// such, those that give earlier layers more. A dynamic programme over the layers (AdapMoE), exact for curves
/// of any shape.
std::vector<std::int64_t> slot_budgets(const std::vector<std::vector<double>>& misses, std::int64_t slots);

/// By layer: misses of an LRU cache of 0, 1, 2... slots of its own over the whole trace, without `excluded`
/// experts. A (step, layer) is one event. Exact from as many slots on as an event activates; below, what the
/// event itself does to a cache that it overflows is left out. Rewinds `source`.
std::vector<std::vector<double>> lru_misses(trace::StepSource& source, const ExpertMap& map,
                                            const std::vector<std::uint8_t>& excluded);

/// Splits `capacity`, slots by layer, anew as the misses in the trace that `cache.budgets` names say, or of
/// `source` where it names none. Returns a note. InputError: no such trace, or too many slots to go through.
std::string split_by_budgets(std::vector<std::int64_t>& capacity, const CacheSpec& cache,
                             trace::StepSource& source, const ExpertMap& map,
                             const std::vector<std::uint8_t>& excluded);

}  // namespace pregate::sim
