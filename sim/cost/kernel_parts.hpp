// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/cost/kernel_model.hpp"

// What the kernel models share.
namespace pregate::sim {

/// Peak of the format's precision; one that the GPU lacks runs in the next wider one that it has.
double kernel_rate(const KernelPeaks& gpu, const KernelFormat& format);

/// Seconds in which `bytes` pass, of which `again` belong to a working set that each call goes over, to
/// memory, or to L2 where calls are repeated and the whole working set fits it.
double read_time(double bytes, double again, double working_set, const KernelPeaks& gpu,
                 const KernelConstants& constants, Residency residency);
inline double read_time(double bytes, double again, const KernelPeaks& gpu, const KernelConstants& constants,
                        Residency residency) {
  return read_time(bytes, again, again, gpu, constants, residency);
}

/// Both at once: the longer one, and something of the shorter one (KernelConstants::overlap).
double overlapped(double memory, double arithmetic, const KernelConstants& constants);

/// Rounds in which `tiles` pass through the SMs, one each, the last of them full or in part.
double waves(double tiles, const KernelPeaks& gpu, const KernelConstants& constants);

/// Seconds that one SM works on an output tile over a depth of k: its products, or what feeds them.
double tile_time(double rows, double columns, double k, const KernelPeaks& gpu, const KernelFormat& format,
                 const KernelConstants& constants);

constexpr std::int64_t blocks_of(std::int64_t count, std::int64_t block) {
  return (count + block - 1) / block;
}

}  // namespace pregate::sim
