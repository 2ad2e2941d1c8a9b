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

}  // namespace

BusClock::BusClock(const Topology& topology, const CopyCost& chunk, const CopyCost& last_chunk, int chunks)
    : lanes_(topology.platform),
      chunks_(chunks),
      chunk_at_memory_(chunk.host_bound),
      last_at_memory_(last_chunk.host_bound),
      tally_(topology) {
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

void BusClock::spend(const GpuTime& time) {
  add_gpu(tally_.spent, time);
  add_gpu(computed_.spent, time);
  tally_.busy[number_of(computing_on_)] += time.whole();
  computed_.finish.count = later(computed_.finish.count, time.count);
}

void BusClock::compute(const GpuTime& time) {
  spend(time);
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
  tally_.spent[Cause::link] += link;
  tally_.spent[Cause::copied_host_memory] += took - link;
  tally_.busy[number_of(copying_on_)] += took;
  tally_.fetched += flow.bytes;
  ++tally_.fetches;
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
  while (!lanes_.is_idle(BusLanes::copies) && lanes_.due(BusLanes::copies) <= until) {
    const std::int64_t now = lanes_.due(BusLanes::copies);
    if (lanes_.end_due(BusLanes::copies, now)) {
      end_copy(now);
      start_copy(now);
    }
    lanes_.share(now);
  }
}

/// The experts start when the ids are known and the copy that they wait for, if any, has arrived.
void BusClock::await_copy(const PathPoint& ids_known) {
  while (awaited_ != no_copy && arrived_.id == no_op) advance_copies(lanes_.due(BusLanes::copies));
  awaited_ = no_copy;
  computed_ = arrived_.decides_over(ids_known) ? arrived_ : ids_known;
  tally_.exposed_transfer += computed_.finish - ids_known.finish;
}

void BusClock::account_host(const HostWork& work, std::size_t step, Picoseconds took, PathPoint& path) {
  CauseSums spent;
  if (step == 1) {
    const Picoseconds alone = work.experts->duration();
    // Of its arithmetic at most as long as it takes alone.
    const Picoseconds arithmetic = work.experts_at_memory ? Picoseconds{} : std::min(took, alone);
    spent[Cause::cpu_arithmetic] = arithmetic;
    spent[Cause::cpu_memory] = took - arithmetic;
  } else if (step == 0) {
    spent[Cause::link] = at_link(*work.out, work.out_at_memory, took);
    spent[Cause::copied_host_memory] = took - spent[Cause::link];
  } else {
    // It meets copies of experts on the link.
    const Picoseconds alone = work.back->duration();
    const Picoseconds memory =
        work.back_at_memory ? std::min(took, alone) - std::min(took, work.back->fixed) : Picoseconds{};
    spent[Cause::copied_host_memory] = memory;
    spent[Cause::link] = took - memory;
  }
  path.spent += spent;
  tally_.spent += spent;
  tally_.busy[number_of(step == 0 ? reading_back_on_ : hosting_on_)] += took;
}

/// The host's three operations, one after the other, beside copies; the end of the last one.
PathPoint BusClock::run_host(const HostWork& work, const PathPoint& ids_known) {
  const std::array<const BusFlow*, 3> flows{work.out, work.experts, work.back};
  std::size_t step = 0;
  std::int64_t now = ids_known.finish.count;
  PathPoint done = ids_known;
  lanes_.begin(BusLanes::host, *flows[0], now);
  lanes_.share(now);
  while (step < flows.size()) {
    now = std::min(lanes_.due(BusLanes::copies), lanes_.due(BusLanes::host));
    const bool copied = lanes_.due(BusLanes::copies) == now && lanes_.end_due(BusLanes::copies, now);
    const bool hosted = lanes_.due(BusLanes::host) == now && lanes_.end_due(BusLanes::host, now);
    if (copied) {
      end_copy(now);
      start_copy(now);
    }
    if (hosted) {
      account_host(work, step, {now - lanes_.start(BusLanes::host)}, done);
      if (++step < flows.size()) lanes_.begin(BusLanes::host, *flows[step], now);
    }
    lanes_.share(now);
  }
  done.finish = {now};
  return done;
}

void BusClock::issue_copies(const BusLayer& layer, const PathPoint& ids_known) {
  advance_copies(ids_known.finish.count);
  // Of the copies that ended before, only one that ended just now can decide anything.
  const bool is_there = layer.awaited < static_cast<std::int64_t>(waiting_.begin_index());
  const bool just_now = is_there && layer.awaited != no_copy && layer.awaited == arrived_now_ &&
                        copied_.finish == ids_known.finish;
  arrived_ = just_now ? copied_ : PathPoint::before_all();
  awaited_ = is_there ? no_copy : layer.awaited;
  if (layer.copied == 0) return;
  if (waiting_.empty() && copied_.finish < ids_known.finish) copied_ = ids_known;
  const OpId first = operations_ + (layer.host.any() ? 3 : 0);
  for (std::uint32_t i = 0; i < layer.copied; ++i) waiting_.push(first + std::int64_t{i} * chunks_);
  start_copy(ids_known.finish.count);
}

void BusClock::run(const BusLayer& layer) {
  const Picoseconds begin = computed_.finish;
  spend(layer.attention_and_gate);
  PathPoint ids_known = computed_;
  ids_known.finish.count = later(computed_.finish.count, layer.readback.count);
  ids_known.spent[Cause::gate] += layer.readback;
  ids_known.id = operations_ + 2;
  tally_.spent[Cause::gate] += layer.readback;
  tally_.busy[number_of(reading_back_on_)] += layer.readback;
  tally_.exposed_host += layer.readback;
  operations_ += 3;

  issue_copies(layer, ids_known);
  const bool hosts = layer.host.any();
  PathPoint hosted;
  if (hosts) {
    hosted = run_host(layer.host, ids_known);
    operations_ += 3;
    hosted.id = operations_ - 1;
  } else {
    lanes_.share(ids_known.finish.count);
  }
  await_copy(ids_known);
  spend(layer.experts);
  operations_ += std::int64_t{layer.copied} * chunks_;
  computed_.id = operations_++;
  if (hosts) {
    if (hosted.finish > computed_.finish) tally_.exposed_cpu += hosted.finish - computed_.finish;
    if (hosted.decides_over(computed_)) computed_ = hosted;
    computed_.id = operations_++;
  }
  if (records_blocks_) tally_.block_latency.add(computed_.finish - begin);
}

Tally BusClock::tally() const {
  Tally tally = tally_;
  tally.operations = operations_;
  return tally;
}

PathPoint BusClock::end() const {
  return copied_.id != no_op && copied_.decides_over(computed_) ? copied_ : computed_;
}

}  // namespace pregate::sim
