// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/event_engine.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <queue>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sim/engine/event_records.hpp"
#include "sim/engine/flow_time.hpp"
#include "sim/engine/lanes.hpp"
#include "sim/engine/ring.hpp"

namespace pregate::sim {

using events::Host;
using events::one;
using events::Ready;
using events::Record;
using events::State;
using events::StreamSet;

struct EventEngine::Impl {
  explicit Impl(const Platform& its) : platform(its), fifo(its.streams.size()), ready(its.streams.size()) {
    for (std::size_t host = 0; host < its.hosts(); ++host) hosts.emplace_back(its, host);
    for (std::size_t stream = 0; stream < its.streams.size(); ++stream) {
      Host& host = host_of(stream);
      host.idle |= one(stream);
      if (its.streams[stream].order == StreamOrder::priority) host.by_priority |= one(stream);
    }
  }

  [[nodiscard]] Host& host_of(std::size_t stream) { return hosts[stream / most_streams]; }
  [[nodiscard]] bool is_by_priority(std::size_t stream) {
    return (host_of(stream).by_priority & one(stream)) != 0;
  }

  [[nodiscard]] Record& record(OpId id) { return records[static_cast<std::uint64_t>(id)]; }
  [[nodiscard]] bool done(OpId id) {
    return static_cast<std::uint64_t>(id) < records.begin_index() || record(id).state == State::done;
  }
  /// The kept record of `id`; throws when it is unknown or forgotten.
  [[nodiscard]] const Record& known(OpId id, const char* asked) const {
    const auto index = static_cast<std::uint64_t>(id);
    if (id < 0 || index < records.begin_index() || index >= records.end_index()) {
      throw std::out_of_range(std::string("EventEngine::") + asked + ": operation " + std::to_string(id) +
                              " is unknown or forgotten");
    }
    return records[index];
  }

  OpId submit(const Operation& operation, std::span<const OpId> dependencies);
  bool dependencies_done(Record& waiting);
  void await_or_queue(OpId id);
  void start_ready(std::size_t number);
  void start(std::size_t stream, OpId id);
  void advance(std::int64_t most = never);
  void complete(OpId id);
  void release();

  Platform platform;
  std::int64_t now = 0;
  std::vector<Host> hosts;
  Ring<Record> records;       ///< by OpId
  Ring<OpId> dependency_ids;  ///< of all records, in issue order
  std::uint64_t forget_limit = 0;
  std::uint64_t all_done_before = 0;  ///< where run() has got to
  std::vector<Ring<OpId>> fifo;       ///< by stream
  std::vector<std::priority_queue<Ready, std::vector<Ready>, std::greater<>>> ready;
  RateObserver observer;
};

OpId EventEngine::Impl::submit(const Operation& operation, std::span<const OpId> dependencies) {
  if (records.full()) release();
  const std::uint64_t index = records.end_index();
  const auto id = static_cast<OpId>(index);
  const char* defect = defect_of(operation, platform);
  if (!is_priced(operation)) defect = "bytes without a rate";
  for (const OpId dependency : dependencies) {
    if (dependency < no_op || dependency >= id) defect = "depends on an operation that was not submitted";
  }
  if (defect != nullptr) {
    throw std::invalid_argument("EventEngine::submit: operation " + std::to_string(id) + ": " + defect);
  }
  Record& added = records.push({.fixed = operation.fixed,
                                .bytes = operation.bytes,
                                .rate = operation.rate,
                                .next_dependency = dependency_ids.end_index(),
                                .dependencies_left = 0,
                                .stream = operation.stream,
                                .priority = operation.priority,
                                .state = State::waiting,
                                .resources = operation.resources,
                                .start = {},
                                .finish = {},
                                .first_waiter = no_op,
                                .next_waiter = no_op});
  for (const OpId dependency : dependencies) {
    if (dependency == no_op || done(dependency)) continue;
    dependency_ids.push(dependency);
    ++added.dependencies_left;
  }
  const auto stream = static_cast<std::size_t>(operation.stream);
  if (is_by_priority(stream)) {
    await_or_queue(id);
  } else {
    // Looked at when it is the head; if one is there already, whether that is blocked is known.
    if (fifo[stream].empty()) host_of(stream).queued |= one(stream);
    fifo[stream].push(id);
  }
  return id;
}

/// Skips the dependencies that are done; false when one is not: it is then at `next_dependency`.
bool EventEngine::Impl::dependencies_done(Record& waiting) {
  while (waiting.dependencies_left > 0) {
    if (!done(dependency_ids[waiting.next_dependency])) return false;
    ++waiting.next_dependency;
    --waiting.dependencies_left;
  }
  return true;
}

/// Puts an operation of a priority stream among the ready ones, or the head of a FIFO stream up to start; one
/// whose dependencies are not done, into the list of the first of them.
void EventEngine::Impl::await_or_queue(OpId id) {
  Record& waiting = record(id);
  const auto stream = static_cast<std::size_t>(waiting.stream);
  if (dependencies_done(waiting)) {
    host_of(stream).queued |= one(stream);
    if (is_by_priority(stream)) ready[stream].push({waiting.priority, id});
    return;
  }
  Record& awaited = record(dependency_ids[waiting.next_dependency]);
  waiting.next_waiter = awaited.first_waiter;
  awaited.first_waiter = id;
}

/// Starts what can on every idle stream of a host. Afterwards none of them is `queued`: a blocked head is
/// called by complete().
void EventEngine::Impl::start_ready(std::size_t number) {
  Host& host = hosts[number];
  StreamSet& queued = host.queued;
  for (StreamSet set = queued & host.idle; set != 0; set &= set - 1) {
    const std::size_t stream = number * most_streams + static_cast<std::size_t>(std::countr_zero(set));
    const StreamSet bit = set & (~set + 1);
    if (is_by_priority(stream)) {
      auto& queue = ready[stream];
      start(stream, queue.top().id);
      queue.pop();
      if (queue.empty()) queued &= ~bit;
      continue;
    }
    auto& queue = fifo[stream];
    queued &= ~bit;
    const OpId head = queue.front();
    if (!dependencies_done(record(head))) {
      await_or_queue(head);
      continue;
    }
    start(stream, head);
    queue.pop_front();
    if (!queue.empty()) queued |= bit;
  }
}

void EventEngine::Impl::start(std::size_t stream, OpId id) {
  Record& started = record(id);
  started.state = State::started;
  started.start = {now};
  Host& host = host_of(stream);
  host.idle &= ~one(stream);
  host.lanes.begin(stream % most_streams, id, started.fixed, started.bytes, started.rate, started.resources,
                   now);
}

/// To the next time at which a phase ends, or `most`; ends all that do. Without it something starts or runs.
void EventEngine::Impl::advance(std::int64_t most) {
  std::int64_t next = most;
  for (std::size_t number = 0; number < hosts.size(); ++number) {
    start_ready(number);
    hosts[number].lanes.share(now);
    next = std::min(next, hosts[number].lanes.next_due());
  }
  if (observer && next > now) observer({now}, {next}, events::rates_of(hosts));
  now = next;
  // All that end then have ended before anything learns of one.
  for (Host& host : hosts) {
    if (host.lanes.next_due() != now) continue;
    host.ended = host.lanes.end_due(now);
    host.idle |= host.ended;
  }
  for (Host& host : hosts) {
    for (; host.ended != 0; host.ended &= host.ended - 1)
      complete(host.lanes.operation(static_cast<std::size_t>(std::countr_zero(host.ended))));
  }
}

void EventEngine::Impl::complete(OpId id) {
  Record& completed = record(id);
  completed.state = State::done;
  completed.finish = {now};
  for (OpId waiter = completed.first_waiter; waiter != no_op;) {
    const OpId next = record(waiter).next_waiter;
    await_or_queue(waiter);
    waiter = next;
  }
}

void EventEngine::Impl::release() {
  std::uint64_t kept = records.begin_index();
  while (kept < forget_limit && records[kept].state == State::done) ++kept;
  // Dependencies of a record that is done are no longer needed either.
  const std::uint64_t dependency =
      kept < records.end_index() ? records[kept].next_dependency : dependency_ids.end_index();
  records.drop_before(kept);
  dependency_ids.drop_before(dependency);
}

EventEngine::EventEngine(const Platform& platform) : impl_(std::make_unique<Impl>(platform)) {}
EventEngine::~EventEngine() = default;
EventEngine::EventEngine(EventEngine&&) noexcept = default;

OpId EventEngine::submit(const Operation& operation, std::span<const OpId> dependencies) {
  return impl_->submit(operation, dependencies);
}

void EventEngine::run_until(OpId id) {
  if (id < 0 || static_cast<std::uint64_t>(id) >= impl_->records.end_index()) {
    throw std::out_of_range("EventEngine::run_until: operation " + std::to_string(id) + " is unknown");
  }
  while (!impl_->done(id)) impl_->advance();
}

void EventEngine::run_until(Picoseconds time) {
  while (impl_->now < time.count) impl_->advance(time.count);
}

void EventEngine::run() {
  for (std::uint64_t& id = impl_->all_done_before; id < impl_->records.end_index(); ++id) {
    run_until(static_cast<OpId>(id));
  }
}

Picoseconds EventEngine::now() const { return {impl_->now}; }

bool EventEngine::is_done(OpId id) const {
  if (id >= 0 && static_cast<std::uint64_t>(id) < impl_->records.begin_index()) return true;
  return impl_->known(id, "is_done").state == State::done;
}

Picoseconds EventEngine::start(OpId id) const {
  const Record& asked = impl_->known(id, "start");
  if (asked.state == State::waiting) throw std::logic_error("EventEngine::start: it has not started");
  return asked.start;
}

Picoseconds EventEngine::finish(OpId id) const {
  const Record& asked = impl_->known(id, "finish");
  if (asked.state != State::done) throw std::logic_error("EventEngine::finish: it is not done");
  return asked.finish;
}

Picoseconds EventEngine::backlog(StreamId stream) const {
  Picoseconds left;
  for (std::uint64_t id = impl_->records.begin_index(); id < impl_->records.end_index(); ++id) {
    const Record& record = impl_->records[id];
    if (record.stream != stream || record.state == State::done) continue;
    const Picoseconds alone =
        record.fixed + (record.bytes.count > 0 ? time_at(record.bytes, record.rate) : Picoseconds{});
    const bool runs = record.state == State::started;
    left += runs ? std::max(Picoseconds{}, record.start + alone - now()) : alone;
  }
  return left;
}

bool EventEngine::make_empty(OpId id) {
  static_cast<void>(impl_->known(id, "make_empty"));
  Record& record = impl_->record(id);
  if (record.state != State::waiting) return false;
  record.fixed = {};
  record.bytes = {};
  return true;
}

void EventEngine::forget_before(OpId id) {
  const auto limit = id < 0 ? 0 : std::min(static_cast<std::uint64_t>(id), impl_->records.end_index());
  impl_->forget_limit = std::max(impl_->forget_limit, limit);
  impl_->release();
}

void EventEngine::observe_rates(RateObserver observer) { impl_->observer = std::move(observer); }

}  // namespace pregate::sim
