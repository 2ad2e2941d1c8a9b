// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pregate::standin {

/// In which order queued work is carried out; all are legal on a device.
enum class Schedule : std::uint8_t {
  eager,    ///< at once, when it is ready
  lazy,     ///< not before the host waits, and then only what that wait needs
  random,   ///< now or later, by the seed
  threads,  ///< one thread a stream
};

inline constexpr int most_devices = 8;

/// Rates of the simulated clock.
struct Rates {
  double host_to_device = 25e9;  ///< bytes a second
  double device_to_host = 25e9;
  double device_to_device = 1e12;
  double peer = 50e9;  ///< from the memory of one device to another's
  double gemm = 1e13;  ///< floating-point operations a second
  double copy_latency_us = 5;
  double kernel_us = 5;  ///< of any kernel, and the least of a GEMM
  double call_us = 1;    ///< of the host, for each operation that it queues
};

/// What the environment variables STANDIN_* ask for; docs/cuda-without-gpu.md lists them.
struct Options {
  Schedule schedule = Schedule::lazy;
  std::uint64_t seed = 1;
  int devices = 1;
  std::size_t memory_bytes = std::size_t{1} << 30;  ///< of each
  bool check_grid_races = true;
  std::string fail;      ///< "name:n[:error]", empty: nothing fails
  std::string calls;     ///< file for the number of calls, empty: none
  std::string timeline;  ///< file for the timeline, empty: none
  Rates rates;
};

/// Reads the environment. A variable STANDIN_* that is unknown or malformed ends the process with status 98:
/// a test that misspells one would else pass without having tested anything.
Options read_options();

}  // namespace pregate::standin
