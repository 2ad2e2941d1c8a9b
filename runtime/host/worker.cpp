// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/host/worker.hpp"

#include <pthread.h>
#include <sched.h>

#include <utility>

#include "runtime/host/relax.hpp"

namespace pregate::runtime {

Worker::Worker(const std::string& name, const std::vector<int>& cores, int spins)
    : spins_(spins), thread_([this] { loop(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
  if (cores.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<unsigned>(core), &set);
  // Refused where the process may not use those cores: then the scheduler decides, which is only slower.
  pthread_setaffinity_np(thread_.native_handle(), sizeof set, &set);
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
  }
  arrived_.notify_one();
  thread_.join();
}

void Worker::push(Entry entry, Wake wake) {
  bool wakes = false;
  {
    const std::lock_guard lock(mutex_);
    given_.push_back(std::move(entry));
    if (wake == Wake::now) {
      wakes_ = true;
      is_given_.store(true, std::memory_order_release);
      wakes = std::exchange(sleeps_, false);
    }
  }
  if (wakes) arrived_.notify_one();
}

bool Worker::take() {
  for (int i = 0; i < spins_ && !is_given_.load(std::memory_order_acquire); ++i) relax();
  std::unique_lock lock(mutex_);
  while (!wakes_ && !stops_) {
    sleeps_ = true;
    arrived_.wait(lock);
  }
  sleeps_ = false;
  if (given_.empty()) return false;
  running_.swap(given_);
  wakes_ = false;
  is_given_.store(false, std::memory_order_relaxed);
  return true;
}

void Worker::loop() {
  bool failed = false;
  while (take()) {
    for (Entry& entry : running_) {
      if (!failed || entry.always) {
        try {
          entry.task();
        } catch (...) {
          const std::lock_guard lock(mutex_);
          if (!failed) failure_ = std::current_exception();
          failed = true;
        }
      }
      entry.task.reset();
    }
    running_.clear();
  }
}

void Worker::rethrow() {
  std::exception_ptr failure;
  {
    const std::lock_guard lock(mutex_);
    failure = std::exchange(failure_, nullptr);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace pregate::runtime
