// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/bus_clock.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

void add_gpu(CauseSums& sums, const GpuTime& time) {
  sums[Cause::gpu_memory] += time.memory;
  sums[Cause::kernels] += time.kernels;
  sums[Cause::launches] += time.launches;
}

/// Of a copy that is `flow` and took longer where it shared: what the link alone explains; the rest is the
/// host's memory.
Picoseconds at_link(const BusFlow& flow, bool at_memory, Picoseconds took) {
  return std::min(took, at_memory ? flow.fixed : flow.duration());
}

/// Of results that go back to the GPU: they meet copies of experts on the link, whose time the rest is.
Picoseconds back_at_memory(const BusFlow& flow, bool at_memory, Picoseconds took) {
  return at_memory ? std::min(took, flow.duration()) - std::min(took, flow.fixed) : Picoseconds{};
}

}  // namespace

void BusClock::Hosted::add_to(CauseSums& sums) const {
  sums[Cause::link] += link;
  sums[Cause::copied_host_memory] += copied_memory;
  sums[Cause::cpu_memory] += memory;
  sums[Cause::cpu_arithmetic] += arithmetic;
}

BusClock::BusClock(const Topology& topology, const CopyCost& chunk, const CopyCost& last_chunk, int chunks)
    : nothing_(topology),
      lanes_(topology.platform),
      chunks_(chunks),
      chunk_at_memory_(chunk.host_bound),
      last_at_memory_(last_chunk.host_bound) {
  const PlaceId cpu = topology.first(PlaceKind::cpu);
  const Place& gpu = topology[topology.first(PlaceKind::gpu)];
  const MemoryId host = topology[cpu].memory;
  const Hop& in = topology.route(host, gpu.memory).front();
  computing_on_ = gpu.compute;
  copying_on_ = in.stream;
  reading_back_on_ = topology.route(gpu.memory, host).front().stream;
  hosting_on_ = topology[cpu].compute;
  chunk_ = lanes_.copy_flow(chunk, in.crosses, 0);
  last_chunk_ = lanes_.copy_flow(last_chunk, in.crosses, 1);
}

void BusClock::compute(const GpuTime& time) {
  add_gpu(spent_, time);
  add_gpu(computed_.spent, time);
  computing_ += time.whole();
  computed_.finish.count = later(computed_.finish.count, time.count);
  computed_.id = operations_++;
}

/// The next copy, as soon as the one before has ended.
void BusClock::start_copy(std::int64_t now) {
  if (waiting_.empty() || !lanes_.is_idle(BusLanes::copies)) return;
  lanes_.begin(BusLanes::copies, next_chunk_ + 1 == chunks_ ? last_chunk_ : chunk_, now);
}

void BusClock::end_copy(std::int64_t now) {
  const bool is_last = next_chunk_ + 1 == chunks_;
  const BusFlow& flow = is_last ? last_chunk_ : chunk_;
  const Picoseconds took{now - lanes_.start(BusLanes::copies)};
  const Picoseconds link = at_link(flow, is_last ? last_at_memory_ : chunk_at_memory_, took);
  copied_.finish = {now};
  copied_.spent[Cause::link] += link;
  copied_.spent[Cause::copied_host_memory] += took - link;
  copied_.id = waiting_.front() + next_chunk_;
  spent_[Cause::link] += link;
  spent_[Cause::copied_host_memory] += took - link;
  copying_ += took;
  fetched_ += flow.bytes;
  ++fetches_;
  arrived_now_ = no_copy;
  if (!is_last) {
    ++next_chunk_;
    return;
  }
  next_chunk_ = 0;
  arrived_now_ = static_cast<std::int64_t>(waiting_.begin_index());
  waiting_.pop_front();
  if (arrived_now_ == awaited_) arrived_ = copied_;
}

/// Ends and starts all that does until then; the host has nothing to do.
void BusClock::advance_copies(std::int64_t until) {
  while (lanes_.due(BusLanes::copies) <= until && !lanes_.is_idle(BusLanes::copies)) {
    const std::int64_t now = lanes_.due(BusLanes::copies);
    if (lanes_.end_due(BusLanes::copies, now)) {
      end_copy(now);
      start_copy(now);
    }
    lanes_.share(now);
  }
}

/// One of the host's operations from `now` until it ends, beside copies; how long it took.
inline Picoseconds BusClock::run_host(const BusFlow& flow, std::int64_t& now) {
  const std::int64_t start = now;
  lanes_.begin(BusLanes::host, flow, now);
  for (bool ended = false; !ended;) {
    lanes_.share(now);
    const std::int64_t copies_due = lanes_.due(BusLanes::copies), host_due = lanes_.due(BusLanes::host);
    now = std::min(copies_due, host_due);
    const bool copied = copies_due == now && lanes_.end_due(BusLanes::copies, now);
    ended = host_due == now && lanes_.end_due(BusLanes::host, now);
    if (!copied) continue;
    end_copy(now);
    start_copy(now);
  }
  return {now - start};
}

/// The host's three operations, one after the other. What of their time sharing adds is time of what they
/// share: the host's memory, save for the results.
BusClock::Hosted BusClock::run_host(const HostWork& work, Picoseconds ids_known) {
  Hosted hosted;
  std::int64_t now = ids_known.count;
  const Picoseconds out = run_host(*work.out, now), experts = run_host(*work.experts, now),
                    back = run_host(*work.back, now);
  lanes_.share(now);
  const Picoseconds out_link = at_link(*work.out, work.out_at_memory, out);
  const Picoseconds back_memory = back_at_memory(*work.back, work.back_at_memory, back);
  hosted.link = out_link + back - back_memory;
  hosted.copied_memory = out - out_link + back_memory;
  hosted.arithmetic =
      std::min(experts, work.experts_at_memory ? work.experts->fixed : work.experts->duration());
  hosted.memory = experts - hosted.arithmetic;
  hosted.finish = {now};
  reading_back_ += out;
  hosting_ += experts + back;
  hosted.add_to(spent_);
  return hosted;
}

/// computed_ is what leads to the ids.
void BusClock::issue_copies(const BusLayer& layer, Picoseconds ids_known) {
  advance_copies(ids_known.count);
  // Of the copies that ended before, only one that ended just now can decide anything.
  const bool is_there = layer.awaited < static_cast<std::int64_t>(waiting_.begin_index());
  const bool just_now =
      is_there && layer.awaited != no_copy && layer.awaited == arrived_now_ && copied_.finish == ids_known;
  arrived_.id = no_op;
  if (just_now) arrived_ = copied_;
  awaited_ = is_there ? no_copy : layer.awaited;
  if (layer.copied == 0) return;
  if (waiting_.empty() && copied_.finish < ids_known) {
    copied_.finish = ids_known;
    copied_.spent = computed_.spent;
    arrived_now_ = no_copy;
  }
  const OpId first = operations_ + (layer.host.any() ? 3 : 0);
  for (std::uint32_t i = 0; i < layer.copied; ++i) waiting_.push(first + std::int64_t{i} * chunks_);
  start_copy(ids_known.count);
}

/// The experts start when the ids are known and the copy that they wait for, if any, has arrived; what they
/// and the host gave is combined. On a tie the copy decides over the ids, and the host over the experts: they
/// were issued before.
void BusClock::run_experts(const BusLayer& layer, Picoseconds ids_known, Hosted* hosted) {
  while (awaited_ != no_copy && arrived_.id == no_op) advance_copies(lanes_.due(BusLanes::copies));
  awaited_ = no_copy;
  const bool after_copy = arrived_.id != no_op && arrived_.finish >= ids_known;
  const Picoseconds start = after_copy ? arrived_.finish : ids_known;
  const Picoseconds finish{later(start.count, layer.experts.count)};
  exposed_transfer_ += start - ids_known;
  add_gpu(spent_, layer.experts);
  computing_ += layer.experts.whole();
  if (hosted != nullptr && hosted->finish >= finish) {
    exposed_cpu_ += hosted->finish - finish;
    computed_.finish = hosted->finish;
    hosted->add_to(computed_.spent);
    return;
  }
  computed_.finish = finish;
  if (after_copy) computed_.spent = arrived_.spent;
  add_gpu(computed_.spent, layer.experts);
}

void BusClock::run(const BusLayer& layer) {
  const Picoseconds begin = computed_.finish;
  const Picoseconds gate_ended{later(begin.count, layer.attention_and_gate.count)};
  const Picoseconds ids_known{later(gate_ended.count, layer.readback.count)};
  add_gpu(spent_, layer.attention_and_gate);
  add_gpu(computed_.spent, layer.attention_and_gate);
  computed_.spent[Cause::gate] += layer.readback;
  computing_ += layer.attention_and_gate.whole();
  exposed_host_ += layer.readback;
  operations_ += 3;

  issue_copies(layer, ids_known);
  if (layer.host.any()) {
    Hosted hosted = run_host(layer.host, ids_known);
    run_experts(layer, ids_known, &hosted);
    operations_ += 5;
  } else {
    lanes_.share(ids_known.count);
    run_experts(layer, ids_known, nullptr);
    operations_ += 1;
  }
  operations_ += std::int64_t{layer.copied} * chunks_;
  computed_.id = operations_ - 1;
  if (records_blocks_) block_latency_.add(computed_.finish - begin);
}

Tally BusClock::tally() const {
  Tally tally = nothing_;
  tally.busy[number_of(computing_on_)] = computing_;
  tally.busy[number_of(copying_on_)] = copying_;
  tally.busy[number_of(reading_back_on_)] = reading_back_ + exposed_host_;
  tally.busy[number_of(hosting_on_)] = hosting_;
  tally.spent = spent_;
  tally.spent[Cause::gate] = exposed_host_;
  tally.exposed_transfer = exposed_transfer_;
  tally.exposed_cpu = exposed_cpu_;
  tally.exposed_host = exposed_host_;
  tally.operations = operations_;
  tally.fetches = fetches_;
  tally.fetched = fetched_;
  tally.block_latency = block_latency_;
  return tally;
}

PathPoint BusClock::end() const {
  return copied_.id != no_op && copied_.decides_over(computed_) ? copied_ : computed_;
}

}  // namespace pregate::sim
