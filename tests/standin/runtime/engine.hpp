// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/standin/runtime/hidden_lock.hpp"
#include "tests/standin/runtime/host_guard.hpp"
#include "tests/standin/runtime/memory.hpp"
#include "tests/standin/runtime/operation.hpp"
#include "tests/standin/runtime/options.hpp"
#include "tests/standin/runtime/race_check.hpp"
#include "tests/standin/runtime/report.hpp"
#include "tests/standin/runtime/timeline.hpp"

/// The types behind cudaStream_t and cudaEvent_t.
struct CUstream_st {
  std::uint32_t id = 0;
  int device = 0;
  int priority = 0;
  unsigned flags = 0;
  bool blocking = false;  ///< ordered with the legacy default stream
  std::uint32_t last_sequence = 0;
  pregate::standin::OperationPointer tail;               ///< the youngest operation, done or not
  std::deque<pregate::standin::OperationPointer> queue;  ///< those not done
  void* fiber = nullptr;
  std::unique_ptr<std::thread> worker;  ///< with Schedule::threads
  std::atomic<int> submissions{0};
  bool stopping = false;
};

struct CUevent_st {
  int device = 0;
  unsigned flags = 0;
  pregate::standin::OperationPointer operation;  ///< of the last record
};

namespace pregate::standin {

/// Streams, events and the order in which their operations run.
class Engine {
 public:
  Engine(const Options& options, Memory& memory, Reports& reports);

  CUstream_st* default_stream(int device) { return default_streams_.at(static_cast<std::size_t>(device)); }
  bool is_default_stream(const CUstream_st* stream) const {
    return stream == default_streams_.at(static_cast<std::size_t>(stream->device));
  }
  CUstream_st* create_stream(bool blocking, unsigned flags, int priority, int device);
  bool is_stream(CUstream_st* stream);
  /// Lets the stream's work run to its end. The host learns nothing about it.
  void destroy_stream(CUstream_st* stream);

  CUevent_st* create_event(unsigned flags, int device);
  bool is_event(CUevent_st* event);
  void destroy_event(CUevent_st* event);
  void record(CUevent_st* event, CUstream_st* stream);
  OperationPointer recorded(CUevent_st* event);

  OperationPointer submit(CUstream_st* stream, Request request, OperationPointer after = nullptr);
  OperationPointer tail_of(CUstream_st* stream);

  /// The host waits, and knows afterwards what happened before. A null operation is over already.
  void wait(const OperationPointer& operation);
  /// For all streams of the device.
  void wait_for_all(int device);
  /// Whether it is over. Work goes on while it is asked about.
  bool query(const OperationPointer& operation);

  /// Runs all that is queued, without the host learning anything.
  void drain();
  /// An operation that touched the allocation and that the host has not waited for, in words, or empty.
  std::string user_of(const Allocation& allocation);
  /// Of streams with work that never ran, in words, or empty.
  std::string unfinished();

  /// After a fault no operation does its work any more.
  void stop() { stopped_ = true; }
  bool is_stopped() const { return stopped_; }

  Timeline& timeline() { return timeline_; }
  std::uint32_t random();

 private:
  void run_worker(CUstream_st* stream);
  bool claim(const OperationPointer& operation);
  void execute(const OperationPointer& operation);
  void finish(const OperationPointer& operation, const std::vector<Range>& touched);
  void tell_host(const VectorClock& clock);
  bool run_any();
  void run_needed(const OperationPointer& operation);
  void run_until_done(const OperationPointer& operation);
  void wait_until_done(const OperationPointer& operation);
  std::vector<OperationPointer> pending_locked() const;
  void add_default_stream_order(Operation& operation) const;

  Schedule schedule_;
  Memory& memory_;
  Reports& reports_;
  Timeline timeline_;
  HostGuard guard_;
  HiddenLock lock_;
  HiddenLock random_lock_;
  std::uint64_t random_state_;
  std::set<CUstream_st*> streams_;
  std::set<CUevent_st*> events_;
  std::array<CUstream_st*, most_devices> default_streams_{};
  std::uint32_t next_stream_id_ = 0;
  std::uint32_t next_operation_id_ = 0;
  VectorClock host_clock_;
  RaceCheck races_;
  std::atomic<bool> stopped_{false};
};

}  // namespace pregate::standin
