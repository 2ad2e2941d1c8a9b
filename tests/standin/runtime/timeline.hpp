// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tests/standin/runtime/operation.hpp"
#include "tests/standin/runtime/options.hpp"

namespace pregate::standin {

/// The simulated clock: of each device one engine for each copy direction, one for copies to other devices
/// and one for computing, each taking operations in the order in which they were queued. It depends on the
/// calls only, not on the schedule.
class Timeline {
 public:
  explicit Timeline(const Rates& rates) : rates_(rates) {}

  /// Sets start and end of an operation that may begin when `ready_us` has come.
  void place(Operation& operation, double ready_us);
  /// The host has waited until `time_us`.
  void host_waited(double time_us);

  double copy_duration_us(OperationKind kind, std::size_t bytes) const;
  double gemm_duration_us(double operations) const;
  double kernel_duration_us() const { return rates_.kernel_us; }

  /// JSON: {"operations": [{"id", "device", "stream", "kind", "name", "bytes", "start_us", "end_us"}]}. False
  /// when the file cannot be written.
  bool write(const std::string& path) const;

 private:
  struct Row {
    std::uint32_t id;
    int device;
    std::uint32_t stream;
    OperationKind kind;
    std::string name;
    std::size_t bytes;
    double start_us;
    double end_us;
  };
  Rates rates_;
  double host_us_ = 0;
  static constexpr std::size_t engines = 4;
  std::array<double, engines * most_devices> engine_free_us_{};
  std::vector<Row> rows_;
};

}  // namespace pregate::standin
