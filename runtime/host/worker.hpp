// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pregate::runtime {

/// A thread that runs tasks in order. The first exception stops the tasks that follow (they are dropped) and
/// is kept for who waits.
class Worker {
 public:
  using Task = std::function<void()>;

  /// Runs on the processors `cores` (empty: any). It looks `spins` times for a task before it sleeps: waking
  /// up takes tens of microseconds, which a worker with a core of its own can spare.
  Worker(const std::string& name, const std::vector<int>& cores, int spins);
  /// Runs what was given first.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void run(Task task);
  /// A task that runs even after a failure: it reports, so that nobody waits for ever.
  void run_always(Task task);
  [[nodiscard]] int spins() const { return spins_; }
  /// Throws the kept exception, once.
  void rethrow();

 private:
  struct Entry {
    Task task;
    bool always;
  };
  void push(Entry entry);
  void loop();
  bool next(Entry& entry);

  int spins_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Entry> tasks_;
  std::atomic<std::size_t> waiting_{0};  ///< tasks_.size(), readable without the lock
  bool stops_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace pregate::runtime
