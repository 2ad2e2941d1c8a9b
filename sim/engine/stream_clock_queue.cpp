// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Copies that are not decided when they are issued.
#include <algorithm>
#include <stdexcept>

#include "sim/engine/stream_clock.hpp"

namespace pregate::sim {

void StreamClock::queue(const Work& work, const LayerProgram& program, CopyQueue& to) {
  CopyQueue::Copy copy{.priority = work.priority, .kind = work.kind};
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
    queue(prices_.price(work, program), copy, to);
    return;
  }
  const int chunks = program.shape().chunks;
  for (std::uint32_t expert = 0; expert < work.uses.size; ++expert) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const Price price = prices_.fetch(chunk, work.format, work.stream);
      copy.fetched = price.copy->bytes;
      queue(price, copy, to);
    }
    if (!program.shape().stages) continue;
    CopyQueue::Copy staged{.priority = work.priority, .kind = OpKind::device_copy, .ready = {-1}};
    staged.copies.front() = next_id_ - 1;
    queue(prices_.device_copy(work.stream), staged, to);
  }
}

void StreamClock::queue(const Price& price, CopyQueue::Copy copy, CopyQueue& to) {
  copy.spending = Spending(copy.kind, price);
  points_.push_back({not_decided, no_op, copy.spending});
  copy.id = next_id_++;
  to.add(copy);
}

/// Decides the copy that starts first of all, if it starts before `before`. False when there is none.
bool StreamClock::start_next(std::optional<Picoseconds> before) {
  Queued* first = nullptr;
  CopyQueue::Next next{};
  for (Queued& each : queued_) {
    const auto candidate = each.queue.next(streams_[each.stream].finish);
    if (!candidate || (first != nullptr && candidate->start >= next.start)) continue;
    first = &each;
    next = *candidate;
  }
  if (first == nullptr || (before && next.start >= *before)) return false;
  Last& stream = streams_[first->stream];
  const CopyQueue::Copy taken = first->queue.take(next.at);
  const Last ready{taken.ready, taken.before};
  const Last decisive = taken.before != no_op && ready.decides_over(stream) ? ready : stream;
  const Picoseconds finish = next.start + taken.spending.duration();
  for (Queued& each : queued_) each.queue.decided(taken.id, finish);
  count({.id = taken.id,
         .kind = taken.kind,
         .stream = static_cast<StreamId>(first->stream),
         .before = decisive.id,
         .start = next.start,
         .finish = finish,
         .weights = taken.fetched,
         .spent = {}},
        taken.spending);
  stream = {finish, taken.id};
  if (taken.id >= first_id_) {
    point(taken.id).before = decisive.id;
    point(taken.id).finish = finish;
    return true;
  }
  // Of an earlier pass: what decided its start is known with its whole path.
  PathPoint path = path_to(decisive);
  taken.spending.add_to(path.spent);
  path.finish = finish;
  path.id = taken.id;
  const auto after = std::upper_bound(outlived_.begin(), outlived_.end(), path.id,
                                      [](OpId id, const PathPoint& each) { return id < each.id; });
  outlived_.insert(after, path);  // a copy that came later may have gone first
  return true;
}

}  // namespace pregate::sim
