// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Layers that announce, one after the other.
#include <algorithm>

#include "sim/engine/coin_toss.hpp"
#include "sim/engine/counted_clock.hpp"

namespace pregate::sim {

// What goes on from layer to layer stays in registers. Which copies led to a layer's start is not carried
// along: of each layer is noted what was last and where an unbroken row of copies begins, from which follows
// the rest where the critical path goes through it. Of operations that end at the same time the one that was
// issued first decides: a gate before its ids, an announced copy before both, a layer's own copies last.
void CountedClock::run(std::span<const AheadLayer> layers, std::size_t distance, Picoseconds* ready) {
  if (layers.empty()) return;
  const std::size_t first = ahead_count_;
  ahead_count_ += layers.size();
  if (ahead_.size() < ahead_count_) ahead_.resize(ahead_count_);
  if (latencies_.size() < layers.size()) latencies_.resize(layers.size());
  ahead_distance_ = static_cast<std::int32_t>(distance);
  AheadRecord* const records = ahead_.data() + first;
  Picoseconds* const latencies = latencies_.data();
  Kind* const kinds = kinds_.data();
  const Picoseconds expert = expert_.duration;
  Picoseconds now = compute_, copied_until = copies_.finish, exposed = exposed_transfer_;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const AheadLayer& layer = layers[i];
    Kind& kind = kinds[layer.kind];
    ++kind.layers;
    const Picoseconds ids_known = now + kind.to_ids;
    const bool is_ready_last = ready[i] >= ids_known;
    Picoseconds start = coin_toss(is_ready_last) ? ready[i] : ids_known;
    std::uint32_t noted = is_ready_last ? AheadRecord::ready_last : 0;
    if (layer.misses > 0) {
      const bool begins = ids_known > copied_until;
      copied_until = (coin_toss(begins) ? ids_known : copied_until) + expert * layer.misses;
      const bool own_last = copied_until > start;
      start = coin_toss(own_last) ? copied_until : start;
      noted |= (begins ? AheadRecord::own_begin : 0) | (own_last ? AheadRecord::own_last : 0);
    }
    const bool any = layer.announced > 0, begins = ids_known > copied_until;
    const Picoseconds end_of_announced =
        (coin_toss(begins) ? ids_known : copied_until) + expert * layer.announced;
    copied_until = coin_toss(any) ? end_of_announced : copied_until;
    noted |= static_cast<std::uint32_t>(any) & static_cast<std::uint32_t>(begins)
                 ? AheadRecord::announced_begin
                 : 0;
    if (layer.announces) ready[i + distance] = coin_toss(any) ? copied_until : nothing_announced;
    records[i] = {layer.kind, none, layer.misses, layer.announced, noted};
    exposed += start - ids_known;
    const Picoseconds end = start + kind.experts;
    latencies[i] = end - now;
    now = end;
  }
  note_computed(records[0].computed);
  if (records_blocks_) block_latency_.add({latencies, layers.size()});
  copies_.finish = copied_until;
  compute_ = now;
  exposed_transfer_ = exposed;
  count_ahead(layers);
}

/// Operations: those of every layer, and its copies before its experts.
void CountedClock::count_ahead(std::span<const AheadLayer> layers) {
  const std::int64_t each = reads_back_ ? 4 : 3;
  std::int64_t copied = 0;
  for (const AheadLayer& layer : layers) copied += std::int64_t{layer.misses} + layer.announced;
  operations_ += each * static_cast<std::int64_t>(layers.size()) + expert_.operations * copied;
  all_.experts += copied;
  last_computed_ = operations_ - 1;
  if (copied == 0) return;
  std::size_t last = layers.size() - 1;  // that copies
  while (layers[last].misses + layers[last].announced == 0) --last;
  last_copied_ = operations_ - 2 - each * static_cast<std::int64_t>(layers.size() - 1 - last);
}

CountedClock::Row CountedClock::row_to(std::int32_t layer, bool with_announced) const {
  std::int64_t experts = 0;
  for (; layer >= 0; --layer, with_announced = true) {
    const AheadRecord& record = ahead_[static_cast<std::size_t>(layer)];
    if (with_announced) {
      experts += record.announced;
      if ((record.noted & AheadRecord::announced_begin) != 0) return {layer, experts};
    }
    experts += record.misses;
    if ((record.noted & AheadRecord::own_begin) != 0) return {layer, experts};
  }
  return {CountedCopies::before_pass, experts};
}

CountedClock::Row CountedClock::row_to_start(std::int32_t layer) const {
  const std::uint32_t noted = ahead_[static_cast<std::size_t>(layer)].noted;
  if ((noted & AheadRecord::own_last) != 0) return row_to(layer, false);
  if ((noted & AheadRecord::ready_last) != 0) return row_to(layer - ahead_distance_, true);
  return {layer, 0};
}

}  // namespace pregate::sim
