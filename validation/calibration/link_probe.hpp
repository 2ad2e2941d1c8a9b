// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/machine.hpp"
#include "runtime/device.hpp"

namespace pregate::validation {

/// A measured rate with its spread.
struct RateSample {
  Bytes size;
  BytesPerSecond rate;
  double spread = 0;  ///< relative
};

struct LinkProbe {
  std::vector<RateSample> h2d, d2h;   ///< by size, pinned, alone
  BytesPerSecond pageable;            ///< through a pinned staging buffer: a host copy, then the device's
  BytesPerSecond h2d_both, d2h_both;  ///< both directions at once, copies of `both_size`, pinned
  Bytes both_size;
  BytesPerSecond device_copy;
  BytesPerSecond host_copy;  ///< host memory to host memory, one thread
};

/// Copies of 4 KiB to 256 MiB (less where memory is short), buffers rotated so that no copy finds its bytes
/// in a processor's caches; the median of repeats, as many as settle it or `seconds` allow.
/// Sizes begin at `smallest` and grow by `factor`. With a `directory`, copies to the device are reads of a
/// file there.
LinkProbe probe_links(runtime::Device& device, double seconds, const std::string& directory,
                      std::int64_t smallest = 4096, std::int64_t factor = 2);

/// What copies and kernels make of each other when both never pause.
struct Interference {
  double kernel_slowdown = 1;  ///< time of kernels with copies in flight over their time alone
  BytesPerSecond copy_alone, copy_beside_kernels;
  double spread = 0;
};

/// `kernels` enqueues about as much work as `copies` large copies take; both are measured alone and together.
Interference probe_interference(runtime::Device& device, runtime::Stream& compute,
                                const std::function<void()>& kernels, Bytes copy, int repeats);

}  // namespace pregate::validation
