// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Layers that announce, one after the other.
#include <algorithm>

#include "sim/engine/counted_clock.hpp"

namespace pregate::sim {

/// Layers of a pass, one after the other. What goes on from one to the next stays in registers. Which copies
/// led to a layer's start is not carried along: of each layer is noted what was last and where an unbroken
/// row of copies begins, from which follows the rest where the critical path goes through it. Of operations
/// that end at the same time the one that was issued first decides: a gate before its ids, an announced copy
/// before both, a layer's own copies last.
struct CountedClock::Stretch {
  const AnnouncingLayers& layers;
  const Kind* kinds;
  Picoseconds expert;
  Picoseconds *ready, *latencies;
  std::uint8_t* noted;
  Picoseconds now, copied_until;

  /// Of layers that are alike in whether they copy for themselves and whether they announce.
  template <bool own, bool announces>
  void run(std::size_t& next, std::size_t end) {
    Stretch at = *this;
    const std::uint32_t* const needed = layers.needed;
    const std::uint32_t* const kind = layers.kinds;
    const std::size_t distance = layers.distance;
    for (; next < end; ++next) {
      const Kind& of = at.kinds[kind[next]];
      const Picoseconds ids_known = at.now + of.to_ids;
      Picoseconds start = ids_known;
      unsigned notes = 0;
      if constexpr (own) {
        notes = at.copy(needed[next], ids_known, own_begin);
        const auto is_last =
            static_cast<unsigned>(needed[next] > 0) & static_cast<unsigned>(at.copied_until > start);
        if (is_last != 0) start = at.copied_until;
        notes |= is_last * after_own;
      } else {
        start = std::max(at.ready[next], ids_known);
        notes = static_cast<unsigned>(at.ready[next] >= ids_known) * after_announced;
      }
      if constexpr (announces) {
        notes |= at.copy(needed[next + distance], ids_known, announced_begin);
        at.ready[next + distance] = {at.copied_until.count | ~all_bits_if(needed[next + distance] > 0)};
      }
      at.noted[next] = static_cast<std::uint8_t>(notes);
      const Picoseconds ended = start + of.experts;
      at.latencies[next] = ended - at.now;
      at.now = ended;
    }
    now = at.now;
    copied_until = at.copied_until;
  }

  /// `begins` where there are any and the first one waits for the ids.
  unsigned copy(std::uint32_t experts, Picoseconds ids_known, Noted begins) {
    const bool after_ids = ids_known > copied_until, any = experts > 0;
    const Picoseconds until = std::max(ids_known, copied_until) + expert * experts;
    copied_until.count += (until - copied_until).count & all_bits_if(any);
    return static_cast<unsigned>(any) * static_cast<unsigned>(after_ids) * begins;
  }
  /// Whether anything is copied is unpredictable, and a select on it becomes a branch.
  static std::int64_t all_bits_if(bool condition) { return -static_cast<std::int64_t>(condition); }
};

void CountedClock::run_next(std::size_t layers) {
  if (layers == 0) return;
  const std::size_t first = ahead_count_, end = first + layers;
  ahead_count_ = end;
  if (const std::size_t room = end + ahead_.distance; noted_.size() < room) {
    noted_.resize(room);
    ready_.resize(room);
    latencies_.resize(room);
  }
  if (computes_now_) between_.push_back({static_cast<std::int32_t>(first), computed_now_});
  computed_now_ = {};
  computes_now_ = false;
  const Picoseconds begin = compute_;
  Stretch stretch{ahead_,        kinds_.data(), expert_.duration, ready_.data(), latencies_.data(),
                  noted_.data(), compute_,      copies_.finish};
  const std::size_t own = std::min(ahead_.own, end), announcing = std::min(ahead_.announcing, end);
  std::size_t next = first;
  stretch.run<true, true>(next, std::min(own, announcing));
  stretch.run<true, false>(next, own);
  stretch.run<false, true>(next, announcing);
  stretch.run<false, false>(next, end);
  compute_ = stretch.now;
  copies_.finish = stretch.copied_until;
  exposed_transfer_ += compute_ - begin;  // less what the layers themselves take: end_pass()
  if (records_blocks_) block_latency_.add(std::span(latencies_).subspan(first, layers));
  count_ahead(first);
}

/// Operations: those of every layer, and its copies before its experts.
void CountedClock::count_ahead(std::size_t first) {
  const std::size_t end = ahead_count_;
  const auto needed = [this](std::size_t from, std::size_t to) {
    std::uint32_t sum = 0;
    for (; from < to; ++from) sum += ahead_.needed[from];
    return std::int64_t{sum};
  };
  const std::int64_t copied =
      needed(first, std::min(ahead_.own, end)) +
      needed(first + ahead_.distance, std::min(ahead_.announcing, end) + ahead_.distance);
  const std::int64_t each = reads_back_ ? 4 : 3;
  operations_ += each * static_cast<std::int64_t>(end - first) + expert_.operations * copied;
  all_.experts += copied;
  last_computed_ = operations_ - 1;
  if (copied == 0) return;
  std::size_t last = end - 1;  // that copies
  while (ahead_.misses(last) + ahead_.announced(last) == 0) --last;
  last_copied_ = operations_ - 2 - each * static_cast<std::int64_t>(end - 1 - last);
}

CountedClock::Row CountedClock::row_to(std::int32_t layer, bool with_announced) const {
  std::int64_t experts = 0;
  for (; layer >= 0; --layer, with_announced = true) {
    const auto place = static_cast<std::size_t>(layer);
    if (with_announced) {
      experts += ahead_.announced(place);
      if ((noted_[place] & announced_begin) != 0) return {layer, experts};
    }
    experts += ahead_.misses(place);
    if ((noted_[place] & own_begin) != 0) return {layer, experts};
  }
  return {CountedCopies::before_pass, experts};
}

CountedClock::Row CountedClock::row_to_start(std::int32_t layer) const {
  const std::uint8_t noted = noted_[static_cast<std::size_t>(layer)];
  if ((noted & after_own) != 0) return row_to(layer, false);
  if ((noted & after_announced) != 0) return row_to(layer - static_cast<std::int32_t>(ahead_.distance), true);
  return {layer, 0};
}

}  // namespace pregate::sim
