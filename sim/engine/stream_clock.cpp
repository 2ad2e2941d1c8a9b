// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/stream_clock.hpp"

#include <algorithm>
#include <stdexcept>

namespace pregate::sim {

StreamClock::StreamClock(const Topology& topology, CostModel& costs, Loop loop)
    : prices_(costs),
      readbacks_(topology.platform.streams.size()),
      tally_(topology),
      streams_(topology.platform.streams.size()),
      before_pass_(topology.platform.streams.size()) {
  const std::vector<bool> fetching = topology.fetching_streams();
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    const StreamOrder order = topology.platform.streams[stream].order;
    const bool looked_at = loop == Loop::closed && fetching[stream];
    if (order == StreamOrder::priority || looked_at) queued_.push_back({stream, CopyQueue(order)});
  }
}

bool StreamClock::waits_in_queue(OpId id) const {
  if (id >= first_id_) return point(id).finish == not_decided;
  return std::any_of(queued_.begin(), queued_.end(),
                     [id](const Queued& each) { return each.queue.holds(id); });
}

StreamClock::Queued* StreamClock::queued(std::size_t stream) {
  for (Queued& each : queued_) {
    if (each.stream == stream) return &each;
  }
  return nullptr;
}

/// Among paths in order of issue; null: it is none of theirs.
const PathPoint* StreamClock::find(std::span<const PathPoint> paths, OpId id) {
  const auto path = std::lower_bound(paths.begin(), paths.end(), id,
                                     [](const PathPoint& each, OpId wanted) { return each.id < wanted; });
  return path == paths.end() || path->id != id ? nullptr : &*path;
}

/// Operations of earlier passes that are not kept ended before this one began, and decide nothing.
const PathPoint* StreamClock::before_pass(OpId id) const {
  const auto last = std::lower_bound(last_before_.begin(), last_before_.end(), id,
                                     [](const LastOf& each, OpId wanted) { return each.id < wanted; });
  if (last != last_before_.end() && last->id == id) return &before_pass_[last->stream];
  return find(outlived_, id);
}

/// Whatever is issued later could not have started before the copy that is asked for ends: it waits for ids
/// that its layer's experts, or those of a later layer, come before.
StreamClock::Last StreamClock::done(OpId id) {
  while (waits_in_queue(id)) {
    if (!start_next(std::nullopt)) throw std::logic_error("stream clock: a copy waits for itself");
  }
  if (id >= first_id_) return {point(id).finish, id};
  const PathPoint* const before = before_pass(id);
  return before == nullptr ? Last{Picoseconds{-1}, no_op} : Last{before->finish, id};
}

Picoseconds StreamClock::wait(OpId operation) {
  now_ = std::max(now_, done(operation).finish);
  while (start_next(now_)) {
  }
  return now_;
}

bool StreamClock::is_done(OpId operation) const {
  if (waits_in_queue(operation)) return false;
  if (operation >= first_id_) return point(operation).finish <= now_;
  const PathPoint* const before = before_pass(operation);
  return before == nullptr || before->finish <= now_;
}

Picoseconds StreamClock::backlog(StreamId stream) const {
  Picoseconds left = std::max(Picoseconds{}, streams_[number_of(stream)].finish - now_);
  for (const Queued& each : queued_) {
    if (each.stream == number_of(stream)) left += each.queue.duration();
  }
  return left;
}

bool StreamClock::cancel(OpId copy) {
  for (Queued& each : queued_) {
    if (!each.queue.make_empty(copy)) continue;
    if (copy >= first_id_) point(copy).spending = {};
    return true;
  }
  return false;
}

void StreamClock::run(const LayerProgram& program) {
  for (const Work& work : program.work()) {
    const std::size_t stream = number_of(work.stream);
    if (Queued* const waiting = queued(stream)) {
      queue(work, program, waiting->queue);
      continue;
    }
    if (work.kind == OpKind::gate_readback) readbacks_[stream] = true;
    const Last free = streams_[stream];
    Last others{Picoseconds{-1}, no_op}, decisive = free;
    for (const OpId id : program.others(work)) {
      const Last other = done(id);
      if (others.id == no_op || other.decides_over(others)) others = other;
    }
    if (others.id != no_op && others.decides_over(decisive)) decisive = others;
    for (const OpId id : program.copies(work)) {
      const Last copy = done(id);
      if (copy.decides_over(decisive)) decisive = copy;
    }
    if (work.kind == OpKind::fetch) {
      run_train(work, decisive);
      continue;
    }
    tally_.add_wait(work.kind, work.copies.size > 0, others.finish, decisive.finish);
    if (work.stream == tally_.leading) {
      tally_.add_idle(work.kind, free.finish, others.id == no_op ? free.finish : others.finish,
                      decisive.finish);
    }
    const Price price = prices_.price(work, program);
    const bool reads = work.kind == OpKind::read_through;
    issue(work.kind, price, stream, decisive, reads ? price.copy->bytes : Bytes{});
  }
  for (const LayerProgram::Block& block : program.blocks()) {
    const Point& first = point(block.first);
    const Picoseconds latency = done(block.last).finish - (first.finish - first.spending.duration());
    tally_.block_latency.add(latency);
    for (OperationObserver* const observer : observers_) observer->block(latency);
  }
}

void StreamClock::run_train(const Work& work, const Last& decisive) {
  const int chunks = prices_.costs().chunks();
  const bool stages = prices_.costs().device_copy().count > 0;
  const std::size_t stream = number_of(work.stream);
  const Price whole = prices_.fetch(0, work.format, work.stream),
              last = prices_.fetch(chunks - 1, work.format, work.stream);
  Last before = decisive;
  for (std::uint32_t expert = 0; expert < work.uses.size; ++expert) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const Price& price = chunk + 1 == chunks ? last : whole;
      issue(OpKind::fetch, price, stream, before, price.copy->bytes);
      before = streams_[stream];
    }
    if (stages) {
      issue(OpKind::device_copy, prices_.device_copy(work.stream), stream, before);
      before = streams_[stream];
    }
  }
}

/// One operation that is decided.
void StreamClock::issue(OpKind kind, const Price& price, std::size_t stream, const Last& decisive,
                        Bytes weights) {
  const Spending spending(kind, price);
  const Picoseconds finish = decisive.finish + price.duration;
  points_.push_back({finish, decisive.id, spending});
  count({.id = next_id_,
         .kind = kind,
         .stream = static_cast<StreamId>(stream),
         .before = decisive.id,
         .start = decisive.finish,
         .finish = finish,
         .weights = weights,
         .spent = {}},
        spending);
  streams_[stream] = {finish, next_id_++};
}

/// `known`: paths to some of the pass's operations, in order of issue, at which a walk may end.
PathPoint StreamClock::path_to(const Last& last, std::span<const PathPoint> known) const {
  PathPoint path;
  OpId id = last.id;
  const PathPoint* before = nullptr;
  for (; id >= first_id_; id = point(id).before) {
    before = find(known, id);
    if (before != nullptr) break;
    point(id).spending.add_to(path.spent);
  }
  // What nothing decided begins where the run does, which is when the GPU that leads may first compute.
  if (id < first_id_) before = id == no_op ? &before_pass_[number_of(tally_.leading)] : before_pass(id);
  if (before != nullptr) {
    path.spent += before->spent;
    path.waiting = before->waiting;
  }
  path.finish = last.finish;
  path.id = last.id;
  return path;
}

/// Whatever a pass does comes after its first computation.
void StreamClock::idle_until(Picoseconds time) {
  while (start_next(time)) {
  }
  now_ = std::max(now_, time);
  const std::size_t leading = number_of(tally_.leading);
  before_pass_[leading].wait_until(time);
  streams_[leading].finish = std::max(streams_[leading].finish, time);
}

Picoseconds StreamClock::end_pass(OpId last) {
  const Picoseconds end = done(last).finish;
  while (start_next(end)) {
  }
  now_ = std::max(now_, end);
  const bool is_head =
      std::any_of(streams_.begin(), streams_.end(), [last](const Last& head) { return head.id == last; });
  keep_paths(end, is_head ? no_op : last);
  return end;
}

void StreamClock::finish() {
  while (start_next(std::nullopt)) {
  }
  Picoseconds computed;
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    if (tally_.is_of_gpu(static_cast<StreamId>(stream)))
      computed = std::max(computed, streams_[stream].finish);
  }
  keep_paths(computed, no_op);
}

/// A pass ended at `end`: of its operations, and those of passes under way, are kept those that others may
/// still wait for. `awaited`: the one that it ended with, where the stream has gone on since.
void StreamClock::keep_paths(Picoseconds end, OpId awaited) {
  std::vector<PathPoint> paths = before_pass_;
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    // What the host was told before the pass ended decides nothing of the next one, which waits for its own
    // ids.
    if (readbacks_[stream] && streams_[stream].finish < end) continue;
    if (streams_[stream].id != paths[stream].id) paths[stream] = path_to(streams_[stream]);
  }
  const std::size_t from_before = outlived_.size();
  const bool outlives =
      std::any_of(streams_.begin(), streams_.end(), [end](const Last& head) { return head.finish > end; });
  if (outlives || awaited != no_op) {
    // Of copies that follow each other each walk ends at the copy before: a prompt may leave thousands of
    // them.
    for (OpId id = first_id_; id < next_id_; ++id) {
      if (point(id).finish <= end && id != awaited) continue;
      outlived_.push_back(path_to({point(id).finish, id}, std::span(outlived_).subspan(from_before)));
    }
  }
  // Walks may have gone through those of before that end only now.
  std::erase_if(outlived_,
                [end, awaited](const PathPoint& path) { return path.finish <= end && path.id != awaited; });
  before_pass_ = paths;
  last_before_.clear();
  for (std::size_t stream = 0; stream < paths.size(); ++stream)
    if (paths[stream].id != no_op) last_before_.push_back({paths[stream].id, stream});
  std::sort(last_before_.begin(), last_before_.end(),
            [](const LastOf& a, const LastOf& b) { return a.id < b.id; });
  points_.clear();
  first_id_ = next_id_;
}

PathPoint StreamClock::end() const {
  PathPoint last = PathPoint::before_all();
  for (const PathPoint& stream : before_pass_) {
    if (stream.decides_over(last)) last = stream;
  }
  return last;
}

}  // namespace pregate::sim
