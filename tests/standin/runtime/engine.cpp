// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/engine.hpp"

#include <algorithm>
#include <mutex>

#include "tests/standin/runtime/tsan.hpp"

namespace pregate::standin {

Engine::Engine(const Options& options, Memory& memory, Reports& reports)
    : schedule_(options.schedule),
      memory_(memory),
      reports_(reports),
      timeline_(options.rates),
      guard_(memory, reports),
      random_state_(options.seed * 0x9e3779b97f4a7c15ULL + 1) {
  for (int device = 0; device < options.devices; ++device)
    default_streams_.at(static_cast<std::size_t>(device)) = create_stream(/*blocking=*/true, 0, 0, device);
}

std::uint32_t Engine::random() {  // xorshift64
  const std::lock_guard guard(random_lock_);
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return static_cast<std::uint32_t>(random_state_ >> 16);
}

CUstream_st* Engine::create_stream(bool blocking, unsigned flags, int priority, int device) {
  auto stream = std::make_unique<CUstream_st>();
  stream->device = device;
  stream->blocking = blocking;
  stream->flags = flags;
  stream->priority = priority;
  const std::lock_guard guard(lock_);
  stream->id = next_stream_id_++;
  if (schedule_ == Schedule::threads) {
    stream->worker = std::make_unique<std::thread>([this, raw = stream.get()] { run_worker(raw); });
  } else {
    stream->fiber = tsan::create_fiber("stream " + std::to_string(stream->id));
  }
  streams_.insert(stream.get());
  return stream.release();
}

bool Engine::is_stream(CUstream_st* stream) {
  const std::lock_guard guard(lock_);
  return streams_.contains(stream);
}

void Engine::destroy_stream(CUstream_st* stream) {
  run_until_done(tail_of(stream));
  {
    const std::lock_guard guard(lock_);
    stream->stopping = true;
    streams_.erase(stream);
  }
  if (stream->worker) {
    ++stream->submissions;
    futex_wake_all(stream->submissions);
    stream->worker->join();
  }
  // The record stays: the race check and the program's stale handles may still name it.
}

CUevent_st* Engine::create_event(unsigned flags, int device) {
  auto event = std::make_unique<CUevent_st>();
  event->device = device;
  event->flags = flags;
  const std::lock_guard guard(lock_);
  events_.insert(event.get());
  return event.release();
}

bool Engine::is_event(CUevent_st* event) {
  const std::lock_guard guard(lock_);
  return events_.contains(event);
}

void Engine::destroy_event(CUevent_st* event) {
  const std::lock_guard guard(lock_);
  events_.erase(event);
  event->operation.reset();
}

void Engine::record(CUevent_st* event, CUstream_st* stream) {
  OperationPointer operation = submit(stream, {OperationKind::record, "record", 0, 0, {}, nullptr});
  const std::lock_guard guard(lock_);
  event->operation = std::move(operation);
}

OperationPointer Engine::recorded(CUevent_st* event) {
  const std::lock_guard guard(lock_);
  return event->operation;
}

/// The legacy default stream of a device waits for all its blocking streams, and they for it.
void Engine::add_default_stream_order(Operation& operation) const {
  const CUstream_st* const standard = default_streams_.at(static_cast<std::size_t>(operation.stream->device));
  if (operation.stream == standard) {
    for (CUstream_st* other : streams_) {
      if (other != standard && other->device == standard->device && other->blocking && other->tail)
        operation.dependencies.push_back(other->tail);
    }
  } else if (operation.stream->blocking && standard->tail) {
    operation.dependencies.push_back(standard->tail);
  }
}

OperationPointer Engine::submit(CUstream_st* stream, Request request, OperationPointer after) {
  auto operation = std::make_shared<Operation>();
  operation->stream = stream;
  operation->stream_id = stream->id;
  operation->device = stream->device;
  operation->request = std::move(request);
  {
    const std::lock_guard guard(lock_);
    operation->id = next_operation_id_++;
    operation->sequence = ++stream->last_sequence;
    if (after) operation->dependencies.push_back(std::move(after));
    add_default_stream_order(*operation);
    operation->clock = host_clock_;
    double ready_us = 0;
    const auto follows = [&](const OperationPointer& earlier) {
      operation->clock.join(earlier->clock);
      ready_us = std::max(ready_us, earlier->end_us);
    };
    if (stream->tail) follows(stream->tail);
    for (const OperationPointer& dependency : operation->dependencies) follows(dependency);
    operation->clock.set(stream->id, operation->sequence);
    timeline_.place(*operation, ready_us);
    tsan::release(operation.get());  // what the host did before the call happens before the operation
    stream->tail = operation;
    stream->queue.push_back(operation);
    guard_.close(operation);  // before anybody can have waited for it
  }
  if (schedule_ == Schedule::threads) {
    ++stream->submissions;
    futex_wake_all(stream->submissions);
  } else if (schedule_ == Schedule::eager) {
    while (run_any()) {
    }
  } else if (schedule_ == Schedule::random) {
    for (std::uint32_t count = random() % 3; count > 0 && run_any(); --count) {
    }
  }
  return operation;
}

OperationPointer Engine::tail_of(CUstream_st* stream) {
  const std::lock_guard guard(lock_);
  return stream->tail;
}

void Engine::wait(const OperationPointer& operation) {
  if (!operation) return;
  run_until_done(operation);
  tell_host(operation->clock);
  const std::lock_guard guard(lock_);
  timeline_.host_waited(operation->end_us);
  tsan::acquire(&operation->state);
}

/// From now on the host knows that all of `clock` is over.
void Engine::tell_host(const VectorClock& clock) {
  VectorClock known;
  {
    const std::lock_guard guard(lock_);
    host_clock_.join(clock);
    known = host_clock_;
    races_.forget(host_clock_, pending_locked());
  }
  guard_.open(known);
}

void Engine::wait_for_all(int device) {
  std::vector<OperationPointer> tails;
  {
    const std::lock_guard guard(lock_);
    for (CUstream_st* stream : streams_) {
      if (stream->tail && stream->device == device) tails.push_back(stream->tail);
    }
  }
  for (const OperationPointer& tail : tails) wait(tail);
}

bool Engine::query(const OperationPointer& operation) {
  if (operation && !operation->is_done() && schedule_ != Schedule::threads && random() % 4 == 0) run_any();
  if (operation && !operation->is_done()) return false;
  wait(operation);
  return true;
}

void Engine::drain() {
  std::vector<OperationPointer> tails;
  {
    const std::lock_guard guard(lock_);
    for (CUstream_st* stream : streams_) tails.push_back(stream->tail);
  }
  for (const OperationPointer& tail : tails) run_until_done(tail);
}

std::string Engine::user_of(const Allocation& allocation) {
  const std::lock_guard guard(lock_);
  return races_.user_of(allocation, host_clock_);
}

std::string Engine::unfinished() {
  const std::lock_guard guard(lock_);
  const auto pending = pending_locked();
  if (pending.empty()) return {};
  return std::to_string(pending.size()) + " operations that nobody waited for, the first " +
         described(*pending.front());
}

std::vector<OperationPointer> Engine::pending_locked() const {
  std::vector<OperationPointer> pending;
  for (const CUstream_st* stream : streams_) {
    pending.insert(pending.end(), stream->queue.begin(), stream->queue.end());
  }
  return pending;
}

}  // namespace pregate::standin
