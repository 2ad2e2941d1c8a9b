// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/event_executor.hpp"

#include <algorithm>
#include <tuple>

namespace pregate::sim {

namespace {

std::uint32_t resources_of(StreamId stream) {
  switch (stream) {
    case StreamId::h2d:
      return bit(ResourceId::link_h2d) | bit(ResourceId::host_memory);
    case StreamId::d2h:
      return bit(ResourceId::link_d2h) | bit(ResourceId::host_memory);
    default:
      return 0;
  }
}

}  // namespace

EventExecutor::EventExecutor(const Platform& platform, std::int64_t recorded_steps)
    : engine_(platform), recorded_steps_(recorded_steps) {
  schedule_.platform = platform;
}

void EventExecutor::begin_step(std::int64_t step, int stack, int tokens) {
  step_ = step;
  stack_ = stack;
  tokens_ = tokens;
}

EventExecutor::Handle EventExecutor::issue(const Request& request, const Dependencies& dependencies) {
  Operation operation;
  operation.kind = request.kind;
  operation.stream = request.stream;
  operation.priority = request.priority;
  operation.stack = static_cast<std::uint16_t>(stack_);
  operation.layer = request.layer;
  operation.expert = request.expert;
  operation.slot = request.slot;
  operation.count = request.count;
  operation.step = step_;
  operation.tokens = tokens_;
  if (request.copy != nullptr) {
    operation.fixed = request.copy->fixed;
    operation.bytes = request.copy->bytes;
    operation.rate = request.copy->rate;
    operation.resources = resources_of(request.stream);
  } else {
    operation.fixed = request.duration;
  }
  submitted_ = dependencies.others_;
  submitted_.insert(submitted_.end(), dependencies.copies_.begin(), dependencies.copies_.end());
  const OpId id = engine_.submit(operation, submitted_);
  if (step_ < recorded_steps_) schedule_.add(operation, submitted_);
  pending_.push_back({id, request.kind, request.stream, dependencies_.size(), dependencies.others_.size(),
                      submitted_.size(), operation.bytes});
  dependencies_.insert(dependencies_.end(), submitted_.begin(), submitted_.end());
  points_.push_back({});
  starts_.push_back({});
  return id;
}

void EventExecutor::record_block(Handle first, Picoseconds, Handle last) { blocks_.push_back({first, last}); }

Picoseconds EventExecutor::end_step(Handle last) {
  engine_.run_until(last);
  const Picoseconds end = engine_.finish(last);
  settle();
  return end;
}

void EventExecutor::finish() {
  engine_.run();
  settle();
}

const PathPoint* EventExecutor::point(OpId id) const {
  // Older operations ended before the operations that are pending now could start: they decide nothing.
  return id < first_point_ ? nullptr : &points_[static_cast<std::size_t>(id - first_point_)];
}

/// Accounts for every pending operation that is done, in the order in which they started; what still runs (a
/// copy that outlives its step) waits for the next call.
void EventExecutor::settle() {
  const auto running = std::stable_partition(pending_.begin(), pending_.end(),
                                             [&](const Pending& p) { return engine_.is_done(p.id); });
  std::sort(pending_.begin(), running, [&](const Pending& a, const Pending& b) {
    return std::tuple(engine_.start(a.id), engine_.finish(a.id), a.id) <
           std::tuple(engine_.start(b.id), engine_.finish(b.id), b.id);
  });
  std::for_each(pending_.begin(), running, [&](const Pending& p) { account(p); });
  pending_.erase(pending_.begin(), running);
  for (const Block& block : blocks_) {
    const auto first = static_cast<std::size_t>(block.first - first_point_);
    const auto last = static_cast<std::size_t>(block.last - first_point_);
    tally_.block_latency.add(points_[last].finish - starts_[first]);
  }
  blocks_.clear();
  forget_settled();
}

void EventExecutor::forget_settled() {
  OpId oldest = first_point_ + static_cast<OpId>(points_.size());
  for (const Pending& p : pending_) oldest = std::min(oldest, p.id);
  const auto forgotten = static_cast<std::ptrdiff_t>(oldest - first_point_);
  points_.erase(points_.begin(), points_.begin() + forgotten);
  starts_.erase(starts_.begin(), starts_.begin() + forgotten);
  first_point_ = oldest;
  engine_.forget_before(oldest);

  submitted_.clear();
  for (Pending& p : pending_) {
    const auto begin = dependencies_.begin() + static_cast<std::ptrdiff_t>(p.first_dependency);
    p.first_dependency = submitted_.size();
    submitted_.insert(submitted_.end(), begin, begin + static_cast<std::ptrdiff_t>(p.dependency_count));
  }
  dependencies_.swap(submitted_);
}

void EventExecutor::account(const Pending& operation) {
  const Picoseconds start = engine_.start(operation.id);
  const Picoseconds finish = engine_.finish(operation.id);
  PathPoint& stream = streams_[static_cast<std::size_t>(operation.stream)];
  PathPoint last = stream;
  Picoseconds others{-1};
  for (std::size_t i = 0; i < operation.dependency_count; ++i) {
    const PathPoint* dependency = point(dependencies_[operation.first_dependency + i]);
    if (dependency == nullptr) continue;
    if (dependency->decides_over(last)) last = *dependency;
    if (i < operation.other_count) others = std::max(others, dependency->finish);
  }
  if (operation.stream == StreamId::compute) tally_.add_idle(stream.finish, others, start);
  if (operation.kind == OpKind::fetch) {
    ++tally_.fetches;
    tally_.fetched += operation.bytes;
  }
  tally_.busy[static_cast<std::size_t>(operation.stream)] += finish - start;
  ++tally_.operations;
  const auto index = static_cast<std::size_t>(operation.id - first_point_);
  points_[index] = stream = extend(last, operation.id, path_part(operation.kind), start, finish - start);
  starts_[index] = start;
  if (stream.decides_over(end_)) end_ = stream;
  if (operation.id < static_cast<OpId>(schedule_.size())) {
    const auto recorded = static_cast<std::size_t>(operation.id);
    if (timeline_.start.size() < schedule_.size()) {
      timeline_.start.resize(schedule_.size());
      timeline_.finish.resize(schedule_.size());
    }
    timeline_.start[recorded] = start;
    timeline_.finish[recorded] = finish;
  }
}

}  // namespace pregate::sim
