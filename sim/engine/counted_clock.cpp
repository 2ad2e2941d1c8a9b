// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/counted_clock.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

void add(CountedSums& sums, const CountedSums& more) {
  sums.memory += more.memory;
  sums.kernels += more.kernels;
  sums.launches += more.launches;
  sums.readback += more.readback;
  sums.waiting += more.waiting;
  sums.experts += more.experts;
}

}  // namespace

CountedClock::CountedClock(const Topology& topology, const CopyTrain& expert, bool reads_back)
    : nothing_(topology), expert_(expert), reads_back_(reads_back) {
  const Place& gpu = topology[topology.first(PlaceKind::gpu)];
  const MemoryId host = topology[topology.first(PlaceKind::cpu)].memory;
  computing_on_ = gpu.compute;
  copying_on_ = topology.route(host, gpu.memory).front().stream;
  reading_back_on_ = topology.route(gpu.memory, host).front().stream;
}

std::uint32_t CountedClock::describe(const LayerTimes& times) {
  kinds_.push_back({times.attention_and_gate.whole(), times.experts.whole(), times});
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
  return {kind, record, number, compute_, compute_ + kind.before_experts + kind.times.readback};
}

namespace {

/// Which of two times is later is close to a coin toss here: a select, not a branch.
inline bool coin_toss(bool condition) { return __builtin_expect_with_probability(condition, 1, 0.5) != 0; }

}  // namespace

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

/// What was computed since the layer before.
inline void CountedClock::note_computed(Record& record) {
  if (!computes_now_) return;
  record.computed = static_cast<std::int32_t>(computed_.size());
  computed_.push_back(computed_now_);
  computed_now_ = {};
  computes_now_ = false;
}

inline void CountedClock::end_layer(const Begun& layer, Picoseconds start, std::int64_t copied) {
  exposed_transfer_ += start - layer.ids_known;
  compute_ = start + layer.kind.experts;
  operations_ += (reads_back_ ? 4 : 3) + expert_.operations * copied;
  all_.experts += copied;
  last_computed_ = operations_ - 1;
  if (records_blocks_) block_latency_.add(compute_ - layer.begin);
  note_computed(layer.record);
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

// What goes on from layer to layer stays in registers.
void CountedClock::run(std::span<const AheadLayer> layers, std::size_t distance, CountedCopies* ready) {
  if (layers.empty()) return;
  const std::size_t first = records_.size();
  records_.resize(first + layers.size());
  Record* const records = records_.data() + first;
  const std::int64_t own_operations = reads_back_ ? 4 : 3;
  CountedCopies copies = copies_;
  Picoseconds now = compute_, exposed = exposed_transfer_;
  std::int64_t operations = operations_, experts = 0;
  OpId last_copied = last_copied_;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const AheadLayer& layer = layers[i];
    Kind& kind = kinds_[layer.kind];
    ++kind.layers;
    const auto number = static_cast<std::int32_t>(first + i);
    const Picoseconds ids_known = now + kind.before_experts + kind.times.readback;
    const Started started = start_of(number, ids_known, layer.misses, layer.announced, ready[i], copies);
    copies = started.copies;
    records[i] = {layer.kind, none, started.after_ids_of, started.experts};
    if (layer.announces) {
      CountedCopies& later = ready[i + distance];
      later = copies;
      later.finish = coin_toss(layer.announced > 0) ? copies.finish : CountedCopies{}.finish;
    }
    const std::int64_t copied = std::int64_t{layer.misses} + layer.announced;
    experts += copied;
    operations += own_operations + expert_.operations * copied;
    last_copied = coin_toss(copied > 0) ? operations - 2 : last_copied;
    exposed += started.start - ids_known;
    const Picoseconds end = started.start + kind.experts;
    if (records_blocks_) block_latency_.add(end - now);
    now = end;
  }
  note_computed(records[0]);
  copies_ = copies;
  compute_ = now;
  exposed_transfer_ = exposed;
  operations_ = operations;
  all_.experts += experts;
  last_computed_ = operations - 1;
  last_copied_ = last_copied;
}

/// Announced copies that have started before then. They go in the order of issue, and each is ready when the
/// stream comes to it.
inline void CountedClock::start_announced(Picoseconds before) {
  while (started_ < issued_ && copies_.finish < before) {
    copies_.finish += expert_.duration;
    ++copies_.experts;
    ++started_;
    announced_last_ = true;
  }
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

void CountedClock::run_on_demand(std::uint32_t kind, std::span<const std::int64_t> layers) {
  Kind& of = kinds_[kind];
  const Picoseconds each = of.before_experts + of.times.readback + of.experts;
  std::int64_t count = 0, experts = 0;
  for (std::size_t misses = 0; misses < layers.size(); ++misses) {
    if (layers[misses] == 0) continue;
    const auto copied = static_cast<std::int64_t>(misses);
    count += layers[misses];
    experts += copied * layers[misses];
    if (records_blocks_) block_latency_.add(each + expert_.duration * copied, layers[misses]);
  }
  const Picoseconds copying = expert_.duration * experts;
  computed_now_.add(of.times.attention_and_gate, count);
  computed_now_.add(of.times.experts, count);
  computed_now_.readback += of.times.readback * count;
  computed_now_.experts += experts;
  compute_ += each * count + copying;
  computing_ += (of.before_experts + of.experts) * count;
  exposed_transfer_ += copying;
  operations_ += (reads_back_ ? 4 : 3) * count + expert_.operations * experts;
  last_computed_ = operations_ - 1;
}

CountedSums CountedClock::path_to(std::int32_t after_ids_of, std::int64_t experts) {
  CountedSums sums;
  sums.experts = experts;
  passages_.assign(kinds_.size(), {});
  std::int32_t at = after_ids_of;
  while (at >= 0) {
    const Record& gate = records_[static_cast<std::size_t>(at)];
    Passages& passages = passages_[gate.kind];
    ++passages.gates;
    if (gate.computed != none) add(sums, computed_[static_cast<std::size_t>(gate.computed)]);
    if (at == 0) break;
    const Record& before = records_[static_cast<std::size_t>(at - 1)];
    ++passages_[before.kind].experts;
    sums.experts += before.experts;
    at = before.after_ids_of;
  }
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    const LayerTimes& times = kinds_[i].times;
    sums.add(times.attention_and_gate, passages_[i].gates);
    sums.add(times.experts, passages_[i].experts);
    sums.readback += times.readback * passages_[i].gates;
  }
  add(sums, at == 0 ? compute_path_ : copies_path_);
  return sums;
}

void CountedClock::idle_until(Picoseconds time) {
  if (time <= compute_) return;
  compute_path_.waiting += time - compute_;
  compute_ = time;
}

Picoseconds CountedClock::end_pass() {
  start_announced(compute_);
  for (const Kind& kind : kinds_) {
    all_.add(kind.times.attention_and_gate, kind.layers);
    all_.add(kind.times.experts, kind.layers);
    all_.readback += kind.times.readback * kind.layers;
    computing_ += (kind.before_experts + kind.experts) * kind.layers;
  }
  for (const CountedSums& computed : computed_) add(all_, computed);
  add(all_, computed_now_);
  if (!records_.empty()) {
    const Record& last = records_.back();
    CountedSums path = path_to(last.after_ids_of, last.experts);
    path.add(kinds_[last.kind].times.experts);
    // Copies that end before decide nothing any more.
    if (copies_.finish >= compute_) copies_path_ = path_to(copies_.after_ids_of, copies_.experts);
    compute_path_ = path;
  }
  add(compute_path_, computed_now_);
  copies_.after_ids_of = CountedCopies::before_pass;
  copies_.experts = 0;
  kinds_.clear();
  records_.clear();
  computed_.clear();
  computed_now_ = {};
  computes_now_ = false;
  return compute_;
}

void CountedClock::finish() {
  copies_path_.experts += issued_ - started_;
  start_announced(Picoseconds{INT64_MAX});
  if (announced_last_) last_copied_ = last_announced_;
}

CauseSums spent_on(const CountedSums& sums, const CopyTrain& expert) {
  CauseSums spent;
  spent[Cause::gpu_memory] = sums.memory;
  spent[Cause::kernels] = sums.kernels;
  spent[Cause::launches] = sums.launches;
  spent[Cause::gate] = sums.readback;
  spent[Cause::link] = (expert.duration - expert.at_host_memory) * sums.experts;
  spent[Cause::copied_host_memory] = expert.at_host_memory * sums.experts;
  return spent;
}

Tally CountedClock::tally() const {
  Tally tally = nothing_;
  tally.busy[number_of(computing_on_)] = computing_;
  tally.busy[number_of(reading_back_on_)] = all_.readback;
  tally.busy[number_of(copying_on_)] = expert_.duration * all_.experts;
  tally.spent = spent_on(all_, expert_);
  tally.exposed_transfer = exposed_transfer_;
  tally.exposed_host = all_.readback;
  tally.operations = operations_;
  tally.fetches = expert_.operations * all_.experts;
  tally.fetched = expert_.bytes * all_.experts;
  tally.block_latency = block_latency_;
  return tally;
}

PathPoint CountedClock::end() const {
  const bool copies_last =
      copies_.finish > compute_ || (copies_.finish == compute_ && last_copied_ < last_computed_);
  if (copies_last && last_copied_ != no_op) {
    return {copies_.finish, spent_on(copies_path_, expert_), copies_path_.waiting, last_copied_};
  }
  return {compute_, spent_on(compute_path_, expert_), compute_path_.waiting, last_computed_};
}

}  // namespace pregate::sim
