// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// How the engine carries out its operations.
#include <cstdlib>
#include <mutex>

#include "tests/standin/ptx/environment.hpp"
#include "tests/standin/runtime/engine.hpp"
#include "tests/standin/runtime/tsan.hpp"

namespace pregate::standin {
namespace {

bool is_ready(const Operation& operation) {
  for (const OperationPointer& dependency : operation.dependencies) {
    if (!dependency->is_done()) return false;
  }
  return true;
}

}  // namespace

void Engine::run_worker(CUstream_st* stream) {
  for (;;) {
    OperationPointer next;
    const int seen = stream->submissions.load();
    {
      const std::lock_guard guard(lock_);
      if (!stream->queue.empty()) {
        next = stream->queue.front();
      } else if (stream->stopping) {
        return;
      }
    }
    if (!next) {
      futex_wait(stream->submissions, seen);
      continue;
    }
    for (const OperationPointer& dependency : next->dependencies) wait_until_done(dependency);
    if (claim(next)) execute(next);
  }
}

/// Takes the head of a stream's queue for the calling thread, if it can run now and nobody else has it.
bool Engine::claim(const OperationPointer& operation) {
  const std::lock_guard guard(lock_);
  const auto& queue = operation->stream->queue;
  if (queue.empty() || queue.front() != operation || operation->state.load() != Operation::queued)
    return false;
  if (!is_ready(*operation)) return false;
  operation->state.store(Operation::running);
  return true;
}

void Engine::execute(const OperationPointer& operation) {
  void* const host_fiber = operation->stream->fiber == nullptr ? nullptr : tsan::current_fiber();
  tsan::switch_to(operation->stream->fiber);
  tsan::acquire(operation.get());
  for (const OperationPointer& dependency : operation->dependencies) tsan::acquire(&dependency->state);
  std::vector<Range> touched = operation->request.ranges;
  // A host function may tell the host anything by any means, so what it knows counts as known.
  const bool is_function = operation->request.kind == OperationKind::host_function;
  if (is_function) {
    tell_host(operation->clock);
    guard_.begin_function(operation);
  }
  if (!stopped_ && operation->request.work) {
    try {
      const std::vector<Range> found = operation->request.work();
      touched.insert(touched.end(), found.begin(), found.end());
    } catch (const ptx::KernelFault&) {
      stop();
    }
  }
  if (is_function) guard_.end_function(operation);
  tsan::touch(touched);
  tsan::release(&operation->state);
  tsan::switch_to(host_fiber);
  finish(operation, touched);
}

void Engine::finish(const OperationPointer& operation, const std::vector<Range>& touched) {
  std::string race;
  {
    const std::lock_guard guard(lock_);
    race = races_.add(operation, touched, memory_);
    operation->request.work = nullptr;
    operation->dependencies.clear();
    operation->stream->queue.pop_front();
    operation->state.store(Operation::done);
  }
  futex_wake_all(operation->state);
  if (!race.empty()) reports_.add("race", race);
}

/// Runs one of the operations that could run now; false when there is none.
bool Engine::run_any() {
  std::vector<OperationPointer> ready;
  {
    const std::lock_guard guard(lock_);
    for (const CUstream_st* stream : streams_) {
      if (stream->queue.empty()) continue;
      const OperationPointer& head = stream->queue.front();
      if (head->state.load() == Operation::queued && is_ready(*head)) ready.push_back(head);
    }
  }
  if (ready.empty()) return false;
  const OperationPointer& chosen = ready[random() % ready.size()];
  if (claim(chosen)) execute(chosen);
  return true;
}

/// Runs what `operation` needs, itself last, and nothing else.
void Engine::run_needed(const OperationPointer& operation) {
  while (!operation->is_done()) {
    OperationPointer head;
    std::vector<OperationPointer> dependencies;
    {
      const std::lock_guard guard(lock_);
      if (operation->stream->queue.empty()) continue;
      head = operation->stream->queue.front();
      dependencies = head->dependencies;
    }
    for (const OperationPointer& dependency : dependencies) run_needed(dependency);
    if (claim(head)) {
      execute(head);
    } else {
      wait_until_done(head);  // another thread of the host has it
    }
  }
}

void Engine::wait_until_done(const OperationPointer& operation) {
  for (int state = operation->state.load(); state != Operation::done; state = operation->state.load()) {
    futex_wait(operation->state, state);
  }
}

void Engine::run_until_done(const OperationPointer& operation) {
  if (!operation) return;
  switch (schedule_) {
    case Schedule::threads:
      wait_until_done(operation);
      return;
    case Schedule::lazy:
      run_needed(operation);
      return;
    default:
      break;
  }
  while (!operation->is_done()) {
    if (!run_any()) std::this_thread::yield();  // another thread of the host runs what is needed
  }
}

}  // namespace pregate::standin
