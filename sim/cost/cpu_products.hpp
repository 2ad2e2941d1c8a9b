// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/machine.hpp"

namespace pregate::sim {

/// What a host's CPU reaches with products of weights of one format.
struct CpuProducts {
  BytesPerSecond reads;  ///< of weights, by all cores
  FlopPerSecond rate;
  double join = 0;  ///< HostComputeSpec::join

  /// At which it goes through so many bytes of weights with so much arithmetic.
  [[nodiscard]] BytesPerSecond flow(double bytes, double flop) const;
  /// Whether reading them takes longer than computing.
  [[nodiscard]] bool waits_for_memory(double bytes, double flop) const {
    return reads.value <= computed(bytes, flop);
  }

 private:
  /// Bytes a second, as far as arithmetic goes.
  [[nodiscard]] double computed(double bytes, double flop) const { return bytes / (flop / rate.value); }
};

/// What the CPU's threads can read: of experts interleaved over n nodes each node reads as much of each node,
/// so that a way from one to another carries 1 / n^2 of the bytes.
BytesPerSecond read_by_cpu(const HostSpec& host);

/// Reading is limited by the memory and, where the software says how limits join, by the cores; arithmetic by
/// the share of the format, of its packing, or of all.
CpuProducts cpu_products(const HostSpec& host, const std::string& format);

}  // namespace pregate::sim
