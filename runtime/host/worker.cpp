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

void Worker::run(Task task) { push({std::move(task), false}); }
void Worker::run_always(Task task) { push({std::move(task), true}); }

void Worker::push(Entry entry) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(entry));
    waiting_.fetch_add(1, std::memory_order_release);
  }
  arrived_.notify_one();
}

bool Worker::next(Entry& entry) {
  for (int i = 0; i < spins_ && waiting_.load(std::memory_order_acquire) == 0; ++i) relax();
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return !tasks_.empty() || stops_; });
  if (tasks_.empty()) return false;
  entry = std::move(tasks_.front());
  tasks_.pop_front();
  waiting_.fetch_sub(1, std::memory_order_release);
  return true;
}

void Worker::loop() {
  Entry entry;
  bool failed = false;
  while (next(entry)) {
    if (!failed || entry.always) {
      try {
        entry.task();
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failed) failure_ = std::current_exception();
        failed = true;
      }
    }
    entry.task = nullptr;
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
