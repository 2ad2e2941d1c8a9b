// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/collective_constants.hpp"

// The formulas of docs/collectives.md, in seconds. GPUs of one host; two at least.
namespace pregate::sim {

/// Bytes that each GPU's link has to pass, for a buffer of so many: a ring's 2 (p-1)/p for an all-reduce,
/// (p-1)/p for the others.
double ring_volume(Collective kind, double bytes, int gpus);

/// NCCL's, replayed or back to back.
double nccl_time(Collective kind, double bytes, int gpus, const CollectiveConstants& constants);

/// Whether vLLM's own all-reduce runs: buffers below 8 MiB, and over PCIe between two GPUs only.
bool is_own_all_reduce(double bytes, int gpus, GpuLinks links);
/// Of such a one.
double own_all_reduce_time(double bytes, int gpus, const CollectiveConstants& constants);

/// Which kernels run a call on this GPU: those that it has constants of. InputError where it has none.
const CollectiveFit& kernels_of(Collective kind, CollectiveLibrary library, double bytes, int gpus,
                                const GpuCollectives& gpu);

/// Of one call as its library runs it. InputError where the GPU has no constants for it.
double collective_time(Collective kind, CollectiveLibrary library, CollectiveLaunch launch, double bytes,
                       int gpus, const GpuCollectives& gpu);

}  // namespace pregate::sim
