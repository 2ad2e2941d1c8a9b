// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/parts/admission/admission.hpp"
#include "sim/parts/miss/miss_service.hpp"
#include "sim/parts/placement/placement.hpp"
#include "sim/parts/predictor/predictor.hpp"
#include "sim/parts/prefetch/prefetcher.hpp"
#include "sim/parts/transfer/transfer.hpp"

namespace pregate::sim {

/// What a policy may be made of, beside the evictions (sim/cache/eviction.hpp).
struct Parts {
  PartRegistry<PlacementEntry> placements;
  PartRegistry<AdmissionEntry> admissions;
  PartRegistry<PredictorEntry> predictors;
  PartRegistry<PrefetcherEntry> prefetchers;
  PartRegistry<TransferEntry> transfers;
  PartRegistry<MissServiceEntry> miss_services;
};

/// All that the product has. A new part is a file in an impl/ and its line in parts.cpp.
const Parts& built_in_parts();

/// Parts of the host program's own join those; see PartRegistry::add_own(). Not while anything runs, and
/// afterwards describe_own_parts() (sim/policy/policy_fields.hpp) has to be called.
void add_own_part(PredictorEntry entry);
void add_own_part(PrefetcherEntry entry);
void add_own_part(MissServiceEntry entry);
/// Before the host program's interpreter goes.
void release_own_parts();

}  // namespace pregate::sim
