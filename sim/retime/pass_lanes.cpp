// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/pass_lanes.hpp"

#include <algorithm>

namespace pregate::sim {

namespace {

void add(LaneSums& sums, const LaneSums& more) {
  sums.memory += more.memory;
  sums.kernels += more.kernels;
  sums.launches += more.launches;
  sums.readback += more.readback;
  sums.experts += more.experts;
}

/// Those of `other` where the mask says so.
void choose(LaneSums& sums, const LaneValues& mask, const LaneSums& other) {
  sums.memory = mask ? other.memory : sums.memory;
  sums.kernels = mask ? other.kernels : sums.kernels;
  sums.launches = mask ? other.launches : sums.launches;
  sums.readback = mask ? other.readback : sums.readback;
  sums.experts = mask ? other.experts : sums.experts;
}

/// The copy stream: when its last copy ends, and what led to that.
struct LaneCopies {
  LaneValues finish = LaneValues{} - 1;  // before the pass began
  LaneSums path{};
};

/// More copies, ready when the ids are known.
void copy(LaneCopies& stream, const LaneValues& ids_known, const LaneSums& gate, const LaneValues& duration,
          std::int64_t experts) {
  const LaneValues after_ids = ids_known > stream.finish;
  choose(stream.path, after_ids, gate);
  stream.finish = (after_ids ? ids_known : stream.finish) + duration * experts;
  stream.path.experts += experts;
}

}  // namespace

void LaneSums::set(std::size_t lane, const CountedSums& sums) {
  memory[lane] = sums.memory.count;
  kernels[lane] = sums.kernels.count;
  launches[lane] = sums.launches.count;
  readback[lane] = sums.readback.count;
  experts[lane] = sums.experts;
}

CountedSums LaneSums::of(std::size_t lane) const {
  CountedSums sums;
  sums.memory = {memory[lane]};
  sums.kernels = {kernels[lane]};
  sums.launches = {launches[lane]};
  sums.readback = {readback[lane]};
  sums.experts = experts[lane];
  return sums;
}

void LaneHistograms::add(std::size_t lane, std::int64_t value, std::int64_t times) {
  One& one = lanes_[lane];
  const std::size_t bucket = Histogram::bucket_of(static_cast<std::uint64_t>(value));
  if (bucket >= one.counts.size()) one.counts.resize(bucket + 1);
  one.counts[bucket] += times;
  one.count += times;
  one.sum +=
      static_cast<Histogram::Wide>(static_cast<std::uint64_t>(value)) * static_cast<std::uint64_t>(times);
  one.least = std::min(one.least, value);
  one.most = std::max(one.most, value);
}

Histogram LaneHistograms::of(std::size_t lane) const {
  const One& one = lanes_[lane];
  return one.count == 0 ? Histogram() : Histogram(one.counts, one.count, one.sum, one.least, one.most);
}

// Vectors wider than the instructions of the plain build are taken apart by the compiler; where the processor
// has wider ones, a second version of this function is used.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("avx2", "default")))
#endif
void PassLanes::run(const LanePasses& passes, LaneValues& duration, LaneTotals& totals) {
  const auto& [body, loads, copies, first_announced, distance, records_blocks, times] = passes;
  const std::size_t layers = copies.size();
  if (ready_.size() < layers) {
    ready_.resize(layers);
    ready_sums_.resize(layers);
    latencies_.resize(layers);
  }
  LaneValues computed{}, exposed{};
  LaneSums path;
  LaneCopies stream;
  for (std::size_t i = 0; i < layers; ++i) {
    const LaneLoad& load = body.loads[loads[i]];
    if (const LaneComputed& before = body.before[i]; before.any) {
      computed += before.whole;
      add(path, before.sums);
    }
    const LaneValues begin = computed;
    const LaneValues ids_known = computed + load.before_experts + load.readback;
    add(path, load.before_sums);
    path.readback += load.readback;
    const LaneSums gate = path;
    LaneValues start = ids_known;
    if (i >= first_announced && copies[i - distance].announced > 0) {
      const LaneValues is_last = ready_[i].value >= ids_known;
      start = is_last ? ready_[i].value : start;
      choose(path, is_last, ready_sums_[i]);
    }
    if (copies[i].misses > 0) {
      copy(stream, ids_known, gate, copy_, copies[i].misses);
      const LaneValues is_last = stream.finish > start;
      start = is_last ? stream.finish : start;
      choose(path, is_last, stream.path);
    }
    if (copies[i].announced > 0) {
      copy(stream, ids_known, gate, copy_, copies[i].announced);
      ready_[i + distance].value = stream.finish;
      ready_sums_[i + distance] = stream.path;
    }
    exposed += start - ids_known;
    computed = start + load.experts;
    add(path, load.experts_sums);
    latencies_[i].value = computed - begin;
  }
  if (const LaneComputed& after = body.before[layers]; after.any) {
    computed += after.whole;
    add(path, after.sums);
  }
  totals.exposed_transfer += exposed * times;
  totals.path.memory += path.memory * times;
  totals.path.kernels += path.kernels * times;
  totals.path.launches += path.launches * times;
  totals.path.readback += path.readback * times;
  totals.path.experts += path.experts * times;
  duration = computed;
  if (!records_blocks) return;
  for (std::size_t lane = 0; lane < lane_count; ++lane) {
    for (std::size_t i = 0; i < layers; ++i) totals.blocks.add(lane, latencies_[i].value[lane], times);
  }
}

}  // namespace pregate::sim
