// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/cost/kernel_model.hpp"

// What the kernel models share.
namespace pregate::sim {

/// Peak of the format's precision; one that the GPU lacks runs in the next wider one that it has.
double kernel_rate(const KernelPeaks& gpu, const KernelFormat& format);

/// Seconds in which `bytes` of which `reread` are the same at each call pass from memory, or from L2 what
/// stays there.
double read_time(double bytes, double reread, const KernelPeaks& gpu, const KernelConstants& constants,
                 Residency residency);

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
