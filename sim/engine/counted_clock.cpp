// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/counted_clock.hpp"

#include <algorithm>

#include "sim/engine/coin_toss.hpp"

namespace pregate::sim {

CountedClock::CountedClock(const Topology& topology, const CopyTrain& expert, bool reads_back)
    : nothing_(topology), expert_(expert), reads_back_(reads_back) {
  const Place& gpu = topology[topology.first(PlaceKind::gpu)];
  const MemoryId host = topology[topology.first(PlaceKind::cpu)].memory;
  computing_on_ = gpu.compute;
  copying_on_ = topology.route(host, gpu.memory).front().stream;
  reading_back_on_ = topology.route(gpu.memory, host).front().stream;
}

std::uint32_t CountedClock::describe(const LayerTimes& times, std::int64_t layers) {
  const Picoseconds before = times.attention_and_gate.whole();
  kinds_.push_back({before, times.experts.whole(), before + times.readback, times, layers});
  return static_cast<std::uint32_t>(kinds_.size() - 1);
}

void CountedClock::compute(const GpuTime& time) {
  compute_ += time.whole();
  last_computed_ = operations_++;
  computed_now_.add(time);
  computes_now_ = true;
  computing_ += time.whole();
}

inline CountedClock::Begun CountedClock::begin_layer(std::uint32_t kind_number) {
  Kind& kind = kinds_[kind_number];
  ++kind.layers;
  const auto number = static_cast<std::int32_t>(records_.size());
  Record& record = records_.emplace_back();
  record.kind = kind_number;
  record.computed = none;
  return {kind, record, number, compute_, compute_ + kind.to_ids};
}

/// More copies on the stream, ready when the ids are known.
inline CountedCopies CountedClock::after_copies(CountedCopies copies, std::int32_t number,
                                                Picoseconds ids_known, std::int64_t experts) const {
  const bool after_ids = static_cast<int>(experts > 0) & static_cast<int>(ids_known > copies.finish);
  const Picoseconds start = coin_toss(after_ids) ? ids_known : copies.finish;
  copies.after_ids_of = coin_toss(after_ids) ? number : copies.after_ids_of;
  copies.experts = (coin_toss(after_ids) ? 0 : copies.experts) + experts;
  copies.finish = start + expert_.duration * experts;
  return copies;
}

inline void CountedClock::copy(const Begun& after, std::int64_t experts) {
  copies_ = after_copies(copies_, after.number, after.ids_known, experts);
}

// Of operations that end at the same time the one that was issued first decides: a gate before its ids, an
// announced copy before both, a layer's own copies last.
inline CountedClock::Started CountedClock::start_of(std::int32_t number, Picoseconds ids_known,
                                                    std::int64_t misses, std::int64_t announced,
                                                    const CountedCopies& ready,
                                                    const CountedCopies& copies) const {
  Started started;
  const bool is_ready_last = ready.finish >= ids_known;
  started.start = coin_toss(is_ready_last) ? ready.finish : ids_known;
  started.after_ids_of = coin_toss(is_ready_last) ? ready.after_ids_of : number;
  started.experts = coin_toss(is_ready_last) ? ready.experts : 0;
  started.copies = copies;
  if (misses > 0) {
    started.copies = after_copies(copies, number, ids_known, misses);
    const bool own_last = started.copies.finish > started.start;
    started.start = coin_toss(own_last) ? started.copies.finish : started.start;
    started.after_ids_of = coin_toss(own_last) ? started.copies.after_ids_of : started.after_ids_of;
    started.experts = coin_toss(own_last) ? started.copies.experts : started.experts;
  }
  started.copies = after_copies(started.copies, number, ids_known, announced);
  return started;
}

inline void CountedClock::end_layer(const Begun& layer, Picoseconds start, std::int64_t copied) {
  exposed_transfer_ += start - layer.ids_known;
  compute_ = start + layer.kind.experts;
  operations_ += (reads_back_ ? 4 : 3) + expert_.operations * copied;
  all_.experts += copied;
  last_computed_ = operations_ - 1;
  if (records_blocks_) block_latency_.add(compute_ - layer.begin);
  note_computed(layer.record.computed);
}

const CountedCopies& CountedClock::run(const CountedLayer& layer) {
  const Begun begun = begin_layer(layer.kind);
  const Started started =
      start_of(begun.number, begun.ids_known, layer.misses, layer.announced, layer.ready, copies_);
  begun.record.after_ids_of = started.after_ids_of;
  begun.record.experts = started.experts;
  copies_ = started.copies;
  const std::int64_t copied = std::int64_t{layer.misses} + layer.announced;
  end_layer(begun, started.start, copied);
  last_copied_ = copied > 0 ? operations_ - 2 : last_copied_;
  return copies_;
}

// The misses go first, save one that an announced copy holds up, and those before that one go before it; the
// layer waits for them all. So what it waits for last is its misses and the announced copies up to the last
// one that holds one up or is awaited itself.
void CountedClock::run(const OvertakingLayer& layer) {
  const Begun begun = begin_layer(layer.kind);
  start_announced(begun.ids_known);
  // One that runs; those before it have ended.
  const bool one_runs = announced_last_ && copies_.finish >= begun.ids_known;
  bool copies_last = one_runs && layer.awaited != no_copy && layer.awaited == started_ - 1;
  const bool held = layer.misses > 0 && layer.held_by >= started_;
  const std::int64_t last = held ? std::max(layer.held_by, layer.awaited) : layer.awaited;
  const std::int64_t awaited = std::max<std::int64_t>(0, last - started_ + 1);
  if (layer.misses + awaited > 0) {
    copy(begun, layer.misses + awaited);
    copies_last = true;
    announced_last_ = awaited > 0 && (!held || layer.awaited > layer.held_by);
    started_ += awaited;
  }
  begun.record.after_ids_of = copies_last ? copies_.after_ids_of : begun.number;
  begun.record.experts = copies_last ? copies_.experts : 0;
  const Picoseconds start = copies_last ? copies_.finish : begun.ids_known;
  if (layer.announced > 0 && begun.ids_known > copies_.finish) {
    copies_ = {.finish = begun.ids_known, .after_ids_of = begun.number, .experts = 0};
    announced_last_ = false;
  }
  issued_ += layer.announced;
  const OpId next_id = operations_;
  end_layer(begun, start, std::int64_t{layer.misses} + layer.announced);
  last_announced_ = layer.announced > 0 ? operations_ - 2 : last_announced_;
  const OpId last_miss = next_id + (reads_back_ ? 3 : 2) + expert_.operations * layer.misses - 1;
  last_copied_ = layer.misses > 0 ? last_miss : last_copied_;
}

void CountedClock::run_on_demand(const LayerTimes& times, std::int64_t misses, std::int64_t layers) {
  const Picoseconds computing = times.attention_and_gate.whole() + times.experts.whole();
  const Picoseconds copying = expert_.duration * misses;
  const Picoseconds each = computing + times.readback + copying;
  const std::int64_t experts = misses * layers;
  if (records_blocks_) block_latency_.add(each, layers);
  computed_now_.add(times.attention_and_gate + times.experts, layers);
  computed_now_.readback += times.readback * layers;
  computed_now_.experts += experts;
  compute_ += each * layers;
  computing_ += computing * layers;
  exposed_transfer_ += copying * layers;
  operations_ += (reads_back_ ? 4 : 3) * layers + expert_.operations * experts;
  last_computed_ = operations_ - 1;
}

}  // namespace pregate::sim
