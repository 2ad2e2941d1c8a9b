// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/kernel_constants.hpp"

namespace pregate::validation {

/// Constants of `from` for a GPU of another architecture: those that are no shares of a peak follow what they
/// were seen to go with (docs/kernel-times.md).
/// - A floor of launches from Python is the host's and goes with what one took on either machine.
/// - What feeds an SM's products goes with the rate of its tensor cores, as generations widen both: 15 to 45
/// bytes
///   for a thousand FLOP of bf16 on the four GPUs, which are 38 to 218 GB/s. Marlin's weights of 4 bits are
///   not held up by it.
/// - The rate of L2 goes with the SMs that read it: 35 to 38 GB/s each in convolutions.
/// Within an architecture an SM has the same paths: runs by kin take constants as they are.
KernelConstants carried_over(KernelFamily family, KernelConstants constants, const KernelPeaks& from,
                             const KernelPeaks& to);

}  // namespace pregate::validation
