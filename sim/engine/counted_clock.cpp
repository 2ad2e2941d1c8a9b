// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/counted_clock.hpp"

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

// Of operations that end at the same time the one that was issued first decides: a gate before its ids, an
// announced copy before both, a layer's own copies last. Few branches: which of them decides is close to a
// coin toss.
const CountedCopies& CountedClock::run(const CountedLayer& layer) {
  Kind& kind = kinds_[layer.kind];
  ++kind.layers;
  const auto number = static_cast<std::int32_t>(records_.size());
  const Picoseconds begin = compute_;
  const Picoseconds ids_known = begin + kind.before_experts + kind.times.readback;
  const auto copy = [&](std::uint32_t experts) {
    const bool any = experts > 0, after_ids = any && ids_known > copies_.finish;
    const Picoseconds start = after_ids ? ids_known : copies_.finish;
    copies_.after_ids_of = after_ids ? number : copies_.after_ids_of;
    copies_.experts = (after_ids ? 0 : copies_.experts) + experts;
    copies_.finish = start + expert_.duration * experts;
    return any;
  };
  Record& record = records_.emplace_back();
  record.kind = layer.kind;
  record.computed = none;
  const bool is_ready_last = layer.ready.finish >= ids_known;
  Picoseconds start = is_ready_last ? layer.ready.finish : ids_known;
  record.after_ids_of = is_ready_last ? layer.ready.after_ids_of : number;
  record.experts = is_ready_last ? layer.ready.experts : 0;
  if (copy(layer.misses) && copies_.finish > start) {
    start = copies_.finish;
    record.after_ids_of = copies_.after_ids_of;
    record.experts = copies_.experts;
  }
  copy(layer.announced);
  exposed_transfer_ += start - ids_known;
  compute_ = start + kind.experts;
  const std::int64_t copied = std::int64_t{layer.misses} + layer.announced;
  operations_ += (reads_back_ ? 4 : 3) + expert_.operations * copied;
  all_.experts += copied;
  last_computed_ = operations_ - 1;
  last_copied_ = copied > 0 ? operations_ - 2 : last_copied_;
  if (records_blocks_) block_latency_.add(compute_ - begin);
  if (computes_now_) {
    record.computed = static_cast<std::int32_t>(computed_.size());
    computed_.push_back(computed_now_);
    computed_now_ = {};
    computes_now_ = false;
  }
  return copies_;
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

CauseSums CountedClock::spent(const CountedSums& sums) const {
  CauseSums spent;
  spent[Cause::gpu_memory] = sums.memory;
  spent[Cause::kernels] = sums.kernels;
  spent[Cause::launches] = sums.launches;
  spent[Cause::gate] = sums.readback;
  spent[Cause::link] = (expert_.duration - expert_.at_host_memory) * sums.experts;
  spent[Cause::copied_host_memory] = expert_.at_host_memory * sums.experts;
  return spent;
}

Tally CountedClock::tally() const {
  Tally tally = nothing_;
  tally.busy[number_of(computing_on_)] = computing_;
  tally.busy[number_of(reading_back_on_)] = all_.readback;
  tally.busy[number_of(copying_on_)] = expert_.duration * all_.experts;
  tally.spent = spent(all_);
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
    return {copies_.finish, spent(copies_path_), copies_path_.waiting, last_copied_};
  }
  return {compute_, spent(compute_path_), compute_path_.waiting, last_computed_};
}

}  // namespace pregate::sim
