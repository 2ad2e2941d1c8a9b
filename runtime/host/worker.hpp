// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/host/task.hpp"

namespace pregate::runtime {

/// A thread that runs tasks in order. The first exception stops the tasks that follow (they are dropped) and
/// is kept for who waits.
class Worker {
 public:
  /// Runs on the processors `cores` (empty: any). It looks `spins` times for a task before it sleeps: waking
  /// up takes tens of microseconds, which a worker with a core of its own can spare.
  Worker(const std::string& name, const std::vector<int>& cores, int spins);
  /// Runs what was given first.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void run(Task task) { push({std::move(task), false}, Wake::now); }
  /// A task that runs even after a failure: it reports, so that nobody waits for ever.
  void run_always(Task task) { push({std::move(task), true}, Wake::now); }
  /// A task that only matters to tasks given later: a sleeping worker is left asleep until one is.
  void run_before_next(Task task) { push({std::move(task), false}, Wake::with_next); }
  [[nodiscard]] int spins() const { return spins_; }
  /// Throws the kept exception, once.
  void rethrow();

 private:
  enum class Wake { now, with_next };
  struct Entry {
    Task task;
    bool always;
  };
  void push(Entry entry, Wake wake);
  void loop();
  /// Moves all that was given to running_; false when there is nothing and will be nothing.
  bool take();

  int spins_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Entry> given_;
  std::vector<Entry> running_;         // the thread's own; the two swap their memory for ever
  std::atomic<bool> is_given_{false};  // whether given_ has something, readable without the lock
  bool wakes_ = false;                 // given_ has something to wake up for
  bool sleeps_ = false;
  bool stops_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace pregate::runtime
