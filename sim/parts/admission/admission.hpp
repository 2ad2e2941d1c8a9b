// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <memory>

#include "sim/cache/admission.hpp"
#include "sim/cache/expert_cache.hpp"
#include "sim/parts/part.hpp"

namespace pregate::sim {

/// Which misses enter a cache, as policies choose it (`cache.admission`). What is not said of it is not
/// assumed: with a filter, hits are found batch by batch.
struct AdmissionEntry : PartDescription {
  using Make = std::function<std::unique_ptr<cache::AdmissionFilter>(const std::any& parameters,
                                                                     const cache::CacheGeometry& geometry)>;

  Admission eviction = Admission::always;  ///< what the eviction rule may do about those who come in
  Make make;                               ///< empty: nobody is turned away before it is asked
};

}  // namespace pregate::sim
