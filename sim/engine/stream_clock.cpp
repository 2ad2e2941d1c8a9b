// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/stream_clock.hpp"

#include <algorithm>
#include <stdexcept>

namespace pregate::sim {

namespace {

constexpr std::size_t number_of(StreamId stream) { return static_cast<std::size_t>(stream); }
constexpr std::size_t copies = number_of(StreamId::h2d);

}  // namespace

StreamClock::StreamClock(CostModel& costs)
    : prices_(costs), overtakes_(costs.platform().order[copies] == StreamOrder::priority) {}

/// Operations of earlier passes that are not kept ended before this one began, and decide nothing.
const PathPoint* StreamClock::before_pass(OpId id) const {
  const auto same = [id](const PathPoint& point) { return point.id == id; };
  const auto stream = std::find_if(before_pass_.begin(), before_pass_.end(), same);
  if (stream != before_pass_.end()) return &*stream;
  const auto outlived = std::find_if(outlived_.begin(), outlived_.end(), same);
  return outlived == outlived_.end() ? nullptr : &*outlived;
}

/// Whatever is issued later could not have started before the copy that is asked for ends: it waits for ids
/// that its layer's experts, or those of a later layer, come before.
StreamClock::Last StreamClock::done(OpId id) {
  while (waits_in_queue(id)) start_next(queue_.next(streams_[copies].finish));
  if (id >= first_id_) return {point(id).finish, id};
  const PathPoint* const before = before_pass(id);
  return before == nullptr ? Last{Picoseconds{-1}, no_op} : Last{before->finish, id};
}

void StreamClock::run(const LayerProgram& program) {
  for (const Work& work : program.work()) {
    const std::size_t stream = number_of(work.stream);
    if (overtakes_ && stream == copies) {
      queue(work, program);
      continue;
    }
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
    if (work.stream == StreamId::compute) {
      tally_.add_idle(work.kind, free.finish, others.id == no_op ? free.finish : others.finish,
                      decisive.finish);
    }
    issue(work.kind, prices_.price(work, program), stream, decisive);
  }
  for (const LayerProgram::Block& block : program.blocks()) {
    const Point& first = point(block.first);
    tally_.block_latency.add(done(block.last).finish - (first.finish - first.spending.duration()));
  }
}

void StreamClock::run_train(const Work& work, const Last& decisive) {
  const int chunks = prices_.costs().chunks();
  const bool stages = prices_.costs().device_copy().count > 0;
  const std::size_t stream = number_of(work.stream);
  const Price whole = prices_.fetch(0), last = prices_.fetch(chunks - 1);
  Last before = decisive;
  for (std::uint32_t expert = 0; expert < work.uses.size; ++expert) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      issue(OpKind::fetch, chunk + 1 == chunks ? last : whole, stream, before);
      before = streams_[stream];
    }
    if (stages) {
      issue(OpKind::device_copy, prices_.device_copy(), stream, before);
      before = streams_[stream];
    }
  }
  const std::int64_t experts = work.uses.size;
  tally_.fetches += experts * chunks;
  tally_.fetched += (whole.copy->bytes * (chunks - 1) + last.copy->bytes) * experts;
}

/// One operation that is decided.
void StreamClock::issue(OpKind kind, const Price& price, std::size_t stream, const Last& decisive) {
  const Spending spending(kind, price);
  const Picoseconds finish = decisive.finish + price.duration;
  points_.push_back({finish, decisive.id, spending});
  tally_.busy[stream] += price.duration;
  spending.add_to(tally_.spent);
  ++tally_.operations;
  streams_[stream] = {finish, next_id_++};
}

void StreamClock::queue(const Work& work, const LayerProgram& program) {
  CopyQueue::Copy copy{.priority = work.priority};
  Last known{Picoseconds{-1}, no_op};
  std::size_t waiting = 0;
  const auto wait_for = [&](OpId id) {
    if (waits_in_queue(id)) {
      if (waiting == copy.copies.size())
        throw std::logic_error("stream clock: a copy waits for more undecided copies than it can name");
      copy.copies[waiting++] = id;
      return;
    }
    const Last other = done(id);
    if (known.id == no_op || other.decides_over(known)) known = other;
  };
  for (const OpId id : program.others(work)) wait_for(id);
  for (const OpId id : program.copies(work)) wait_for(id);
  copy.ready = known.finish;
  copy.before = known.id;
  if (work.kind != OpKind::fetch) {
    queue(work.kind, prices_.price(work, program), copy);
    return;
  }
  const int chunks = program.shape().chunks;
  for (std::uint32_t expert = 0; expert < work.uses.size; ++expert) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const Price price = prices_.fetch(chunk);
      ++tally_.fetches;
      tally_.fetched += price.copy->bytes;
      queue(OpKind::fetch, price, copy);
    }
    if (!program.shape().stages) continue;
    queue(OpKind::device_copy, prices_.device_copy(),
          {.priority = work.priority, .ready = {-1}, .copies = {next_id_ - 1, no_op}});
  }
}

void StreamClock::queue(OpKind kind, const Price& price, CopyQueue::Copy copy) {
  copy.spending = Spending(kind, price);
  points_.push_back({not_decided, no_op, copy.spending});
  tally_.busy[copies] += price.duration;
  copy.spending.add_to(tally_.spent);
  ++tally_.operations;
  copy.id = next_id_++;
  queue_.add(copy);
}

void StreamClock::start_next(CopyQueue::Next next) {
  Last& stream = streams_[copies];
  const CopyQueue::Copy& copy = queue_.at(next.at);
  const Last ready{copy.ready, copy.before};
  const Last decisive = copy.before != no_op && ready.decides_over(stream) ? ready : stream;
  const Picoseconds finish = next.start + copy.spending.duration();
  const CopyQueue::Copy taken = queue_.take(next.at, finish);
  stream = {finish, taken.id};
  if (taken.id >= first_id_) {
    point(taken.id).before = decisive.id;
    point(taken.id).finish = finish;
    return;
  }
  // Of an earlier pass: what decided its start is known with its whole path.
  PathPoint path = path_to(decisive);
  taken.spending.add_to(path.spent);
  path.finish = finish;
  path.id = taken.id;
  outlived_.push_back(path);
}

PathPoint StreamClock::path_to(const Last& last) const {
  PathPoint path;
  OpId id = last.id;
  for (; id >= first_id_; id = point(id).before) point(id).spending.add_to(path.spent);
  const PathPoint* const before = id == no_op ? nullptr : before_pass(id);
  if (before != nullptr) path.spent += before->spent;
  path.finish = last.finish;
  path.id = last.id;
  return path;
}

Picoseconds StreamClock::end_pass(OpId last) {
  const Picoseconds end = done(last).finish;
  while (!queue_.empty()) {
    const CopyQueue::Next next = queue_.next(streams_[copies].finish);
    if (next.start >= end) break;
    start_next(next);
  }
  keep_paths(end);
  return end;
}

void StreamClock::finish() {
  while (!queue_.empty()) start_next(queue_.next(streams_[copies].finish));
  keep_paths(streams_[number_of(StreamId::compute)].finish);
}

/// The pass ended at `end`: of its operations are kept those that others may still wait for.
void StreamClock::keep_paths(Picoseconds end) {
  std::array<PathPoint, stream_count> paths = before_pass_;
  for (std::size_t stream = 0; stream < stream_count; ++stream) {
    // What the host was told before the pass ended decides nothing of the next one, which waits for its own
    // ids.
    if (stream == number_of(StreamId::d2h) && streams_[stream].finish < end) continue;
    if (streams_[stream].id != paths[stream].id) paths[stream] = path_to(streams_[stream]);
  }
  std::erase_if(outlived_, [end](const PathPoint& path) { return path.finish <= end; });
  if (std::any_of(streams_.begin(), streams_.end(), [end](const Last& head) { return head.finish > end; })) {
    for (OpId id = first_id_; id < next_id_; ++id) {
      if (point(id).finish > end) outlived_.push_back(path_to({point(id).finish, id}));
    }
  }
  before_pass_ = paths;
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
