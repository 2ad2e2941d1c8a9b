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
  std::int64_t computed_ahead = 0;   ///< of those, begun before their layer's gate, from another input
  std::int64_t written_back = 0;     ///< experts copied to the host as they left
  std::int64_t drive_reads = 0;      ///< experts read from a drive
  std::int64_t foreseeable = 0;      ///< activated experts of layers for which something was announced
  std::int64_t guesses = 0;          ///< experts announced
  std::int64_t right_guesses = 0;    ///< of them, activated
  std::int64_t cancelled = 0;        ///< of them, taken back before they were copied, or all of them was
  std::int64_t near_data = 0;        ///< misses that a near-data device computed
  std::int64_t read_through = 0;     ///< misses that the GPU read over the link
  std::int64_t dropped = 0;          ///< misses that nobody computed
  std::int64_t low_hits = 0;         ///< hits that are there in formats.low alone, or asked for in it
  std::int64_t low_fetched = 0;      ///< misses copied in formats.low
  std::int64_t substituted = 0;      ///< misses in whose place another expert was computed

  AccessCounts& operator+=(const AccessCounts& other) {
    hits += other.hits;
    misses += other.misses;
    prefetched += other.prefetched;
    wasted += other.wasted;
    computed_on_cpu += other.computed_on_cpu;
    computed_ahead += other.computed_ahead;
    written_back += other.written_back;
    drive_reads += other.drive_reads;
    foreseeable += other.foreseeable;
    guesses += other.guesses;
    right_guesses += other.right_guesses;
    cancelled += other.cancelled;
    near_data += other.near_data;
    read_through += other.read_through;
    dropped += other.dropped;
    low_hits += other.low_hits;
    low_fetched += other.low_fetched;
    substituted += other.substituted;
    return *this;
  }
};

}  // namespace pregate::sim
