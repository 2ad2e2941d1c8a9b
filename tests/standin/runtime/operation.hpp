// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/standin/ptx/touched_ranges.hpp"
#include "tests/standin/runtime/vector_clock.hpp"

struct CUstream_st;

namespace pregate::standin {

enum class OperationKind : std::uint8_t {
  host_to_device,
  device_to_host,
  device_to_device,
  peer,  ///< between the memories of two devices
  fill,
  kernel,
  gemm,
  host_function,
  record,
  wait
};

const char* name_of(OperationKind kind);

/// What an operation does when its turn comes. It returns the ranges it touched beyond those declared, and
/// throws ptx::KernelFault when the device must stop.
using Work = std::function<std::vector<Range>()>;

/// What the caller says about an operation.
struct Request {
  OperationKind kind = OperationKind::kernel;
  std::string name;
  std::size_t bytes = 0;      ///< moved, of copies and fills
  double duration_us = 0;     ///< on the simulated clock
  std::vector<Range> ranges;  ///< known beforehand
  Work work;                  ///< may be empty
};

/// One entry of a stream's queue.
struct Operation {
  enum State : int { queued, running, done };

  std::uint32_t id = 0;
  CUstream_st* stream = nullptr;
  std::uint32_t stream_id = 0;
  int device = 0;
  std::uint32_t sequence = 0;  ///< in its stream, from 1
  Request request;
  std::vector<std::shared_ptr<Operation>> dependencies;
  VectorClock clock;  ///< what happens before it, itself included
  std::atomic<int> state{queued};
  double start_us = 0;
  double end_us = 0;

  bool is_done() const { return state.load() == done; }
};

using OperationPointer = std::shared_ptr<Operation>;

/// Whether `first` happens before anything that knows `clock`.
inline bool is_known(const Operation& first, const VectorClock& clock) {
  return clock.at(first.stream_id) >= first.sequence;
}

}  // namespace pregate::standin
