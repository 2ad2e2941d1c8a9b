// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace pregate::sim {

/// What a planner counted, decode steps and other steps apart.
struct AccessCounts {
  std::int64_t hits = 0;  ///< activated experts that were resident (for the run, or in the cache)
  std::int64_t misses = 0;
  std::int64_t prefetched = 0;       ///< misses whose copy had been issued before their own gate was known
  std::int64_t wasted = 0;           ///< experts copied for a layer that then did not activate them
  std::int64_t computed_on_cpu = 0;  ///< misses that the CPU computed
  std::int64_t written_back = 0;     ///< experts copied to the host as they left
  std::int64_t drive_reads = 0;      ///< experts read from a drive
  std::int64_t foreseeable = 0;      ///< activated experts of layers for which something was announced
  std::int64_t guesses = 0;          ///< experts announced
  std::int64_t right_guesses = 0;    ///< of them, activated
  std::int64_t cancelled = 0;        ///< of them, taken back before they were copied, or all of them was
};

}  // namespace pregate::sim
