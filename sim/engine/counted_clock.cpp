// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/counted_clock.hpp"

namespace pregate::sim {

void CountedClock::compute(const GpuTime& time) {
  for (StreamHead* const head : {&compute_, &all_}) {
    head->finish += time.whole();
    head->add(time, 1);
  }
  compute_.id = operations();
  ++others_;
}

const StreamHead& CountedClock::run(const CountedLayer& layer) {
  const Picoseconds begin = compute_.finish;
  OpId id = operations() + 1;  // the gate's
  compute_.finish += layer.attention_and_gate.whole();
  compute_.add(layer.attention_and_gate, 1);
  compute_.id = id;
  StreamHead ids_known = compute_;
  if (reads_back_) {
    ids_known.finish += layer.readback;
    ids_known.readback += layer.readback;
    ids_known.id = ++id;
  }
  const auto copy = [&](std::int64_t experts) {
    if (ids_known.decides_over(copies_)) copies_ = ids_known;
    copies_.finish += expert_.duration * experts;
    copies_.experts += experts;
    copies_.id = id += expert_.operations * experts;
  };
  // What experts wait for: the ids, then their copies.
  const StreamHead* decisive = ids_known.decides_over(compute_) ? &ids_known : &compute_;
  if (layer.ready != nullptr && layer.ready->decides_over(*decisive)) decisive = layer.ready;
  StreamHead own;
  if (layer.misses > 0) {
    copy(layer.misses);
    if (copies_.decides_over(*decisive)) {
      own = copies_;
      decisive = &own;
    }
  }
  if (layer.announced > 0) copy(layer.announced);
  exposed_transfer_ += decisive->finish - ids_known.finish;
  if (decisive != &compute_) compute_ = *decisive;
  compute_.finish += layer.experts.whole();
  compute_.add(layer.experts, 1);
  compute_.id = id + 1;

  all_.finish += layer.attention_and_gate.whole() + layer.experts.whole();
  all_.add(layer.attention_and_gate, 1);
  all_.add(layer.experts, 1);
  all_.readback += layer.readback;
  all_.experts += layer.misses + layer.announced;
  others_ += reads_back_ ? 4 : 3;
  if (layer.records_block) block_latency_.add(compute_.finish - begin);
  return copies_;
}

void CountedClock::run_on_demand(const CountedLayer& layer, std::span<const std::int64_t> layers) {
  const Picoseconds without_copies =
      layer.attention_and_gate.whole() + layer.readback + layer.experts.whole();
  std::int64_t count = 0, experts = 0;
  for (std::size_t misses = 0; misses < layers.size(); ++misses) {
    if (layers[misses] == 0) continue;
    const auto copied = static_cast<std::int64_t>(misses);
    count += layers[misses];
    experts += copied * layers[misses];
    if (layer.records_block) block_latency_.add(without_copies + expert_.duration * copied, layers[misses]);
  }
  if (count == 0) return;
  const Picoseconds copying = expert_.duration * experts;
  for (StreamHead* const head : {&compute_, &all_}) {
    head->add(layer.attention_and_gate, count);
    head->add(layer.experts, count);
    head->readback += layer.readback * count;
    head->experts += experts;
  }
  compute_.finish += without_copies * count + copying;
  all_.finish += (layer.attention_and_gate.whole() + layer.experts.whole()) * count;
  exposed_transfer_ += copying;
  others_ += (reads_back_ ? 4 : 3) * count;
  compute_.id = operations() - 1;
}

CauseSums CountedClock::spent(const StreamHead& head) const {
  CauseSums sums;
  sums[Cause::gpu_memory] = head.memory;
  sums[Cause::kernels] = head.kernels;
  sums[Cause::launches] = head.launches;
  sums[Cause::gate] = head.readback;
  sums[Cause::link] = (expert_.duration - expert_.at_host_memory) * head.experts;
  sums[Cause::copied_host_memory] = expert_.at_host_memory * head.experts;
  return sums;
}

Tally CountedClock::tally() const {
  Tally tally;
  tally.busy[static_cast<std::size_t>(StreamId::compute)] = all_.finish;
  tally.busy[static_cast<std::size_t>(StreamId::d2h)] = all_.readback;
  tally.busy[static_cast<std::size_t>(StreamId::h2d)] = expert_.duration * all_.experts;
  tally.spent = spent(all_);
  tally.exposed_transfer = exposed_transfer_;
  tally.exposed_host = all_.readback;
  tally.operations = operations();
  tally.fetches = expert_.operations * all_.experts;
  tally.fetched = expert_.bytes * all_.experts;
  tally.block_latency = block_latency_;
  return tally;
}

PathPoint CountedClock::end() const {
  const StreamHead& last = copies_.id != no_op && copies_.decides_over(compute_) ? copies_ : compute_;
  return {last.finish, spent(last), {}, last.id};
}

}  // namespace pregate::sim
