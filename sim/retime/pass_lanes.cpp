// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/pass_lanes.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "sim/retime/lane_clones.hpp"

namespace pregate::sim {

namespace {

[[gnu::always_inline]] inline void add(LaneSums& sums, const LaneSums& more) {
  sums.memory += more.memory;
  sums.kernels += more.kernels;
  sums.launches += more.launches;
  sums.readback += more.readback;
  sums.experts += more.experts;
}
[[gnu::always_inline]] inline void add(LaneCell& counts, std::int64_t more) { counts.value += more; }

/// Those of `other` where the mask says so.
[[gnu::always_inline]] inline void choose(LaneSums& sums, const LaneValues& mask, const LaneSums& other) {
  sums.memory = mask ? other.memory : sums.memory;
  sums.kernels = mask ? other.kernels : sums.kernels;
  sums.launches = mask ? other.launches : sums.launches;
  sums.readback = mask ? other.readback : sums.readback;
  sums.experts = mask ? other.experts : sums.experts;
}
[[gnu::always_inline]] inline void choose(LaneCell& counts, const LaneValues& mask, const LaneCell& other) {
  counts.value = mask ? other.value : counts.value;
}

/// What a path takes in on its way, where its sums are carried.
struct SummedSteps {
  const LaneBody& body;
  [[nodiscard]] const LaneSums& gate(std::size_t load) const { return body.loads[load].before_sums; }
  [[nodiscard]] const LaneSums& experts(std::size_t load) const { return body.loads[load].experts_sums; }
  [[nodiscard]] const LaneSums& computed(std::size_t place) const { return body.computed[place].sums; }
  [[nodiscard]] LaneSums copies(std::int64_t experts) const {
    LaneSums sums;
    sums.experts += experts;
    return sums;
  }
};

/// The same, where they are counted: one of each at its place.
template <class Packing>
struct CountedSteps {
  const Packing& packing;
  [[nodiscard]] std::int64_t gate(std::size_t load) const {
    return std::int64_t{1} << packing.loads[load].gates;
  }
  [[nodiscard]] std::int64_t experts(std::size_t load) const {
    return std::int64_t{1} << packing.loads[load].experts;
  }
  [[nodiscard]] std::int64_t computed(std::size_t place) const {
    return std::int64_t{1} << packing.computed[place];
  }
  [[nodiscard]] std::int64_t copies(std::int64_t experts) const { return experts << packing.copies; }
};

/// A pass: how long it takes, and its path. `durations`: of copies, by how many experts.
template <class Path, class Steps>
[[gnu::always_inline]] inline void go_through(const LanePasses& passes, const LaneBody& body,
                                              const Steps& steps, const LaneCell* durations, LaneCell* ready,
                                              Path* ready_path, LaneCell* latencies, LaneValues& duration,
                                              Path& path) {
  const std::size_t layers = passes.copies.size();
  LaneValues computed{};
  LaneValues copied = LaneValues{} - 1;  // when the copy stream is done: before the pass began
  Path copied_path{};
  std::size_t between = 0;
  // More copies, ready when the ids are known.
  const auto copy = [&](const LaneValues& ids_known, const Path& gate, std::uint16_t experts)
      __attribute__((always_inline)) {
    const LaneValues after_ids = ids_known > copied;
    choose(copied_path, after_ids, gate);
    copied = (after_ids ? ids_known : copied) + durations[experts].value;
    add(copied_path, steps.copies(experts));
  };
  const auto compute_between = [&](std::size_t layer) __attribute__((always_inline)) {
    if (between == body.computed.size() || body.computed[between].layer != layer) return;
    computed += body.computed[between].whole;
    add(path, steps.computed(between));
    ++between;
  };
  for (std::size_t i = 0; i < layers; ++i) {
    const std::size_t number = passes.loads[i];
    const LaneLoad& load = body.loads[number];
    const LayerCopies copies = passes.copies[i];
    compute_between(i);
    const LaneValues begin = computed;
    const LaneValues ids_known = computed + load.before_experts;
    add(path, steps.gate(number));
    const Path gate = path;
    LaneValues start = ids_known;
    if (i >= passes.first_announced && passes.copies[i - passes.distance].announced > 0) {
      const LaneValues is_last = ready[i].value >= ids_known;
      start = is_last ? ready[i].value : start;
      choose(path, is_last, ready_path[i]);
    }
    if (copies.misses > 0) {
      copy(ids_known, gate, copies.misses);
      const LaneValues is_last = copied > start;
      start = is_last ? copied : start;
      choose(path, is_last, copied_path);
    }
    if (copies.announced > 0) {
      copy(ids_known, gate, copies.announced);
      ready[i + passes.distance].value = copied;
      ready_path[i + passes.distance] = copied_path;
    }
    computed = start + load.experts;
    add(path, steps.experts(number));
    latencies[i].value = computed - begin;
  }
  compute_between(layers);
  duration = computed;
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

PassLanes::PassLanes(const LaneValues& copy, std::size_t most_copied) : copies_(most_copied + 1) {
  for (std::size_t i = 1; i <= most_copied; ++i) copies_[i].value = copies_[i - 1].value + copy;
}

void PassLanes::prepare(const LanePasses& passes) {
  const std::size_t layers = passes.copies.size();
  if (ready_.size() < layers) {
    ready_.resize(layers);
    ready_counts_.resize(layers);
    ready_sums_.resize(layers);
    latencies_.resize(layers);
  }
}

/// False: not enough bits.
bool PassLanes::pack(const LanePasses& passes) {
  const auto bits_of = [](std::size_t most) { return static_cast<unsigned>(std::bit_width(most)); };
  std::size_t experts = 0;
  for (const LayerCopies& copies : passes.copies)
    experts += std::size_t{copies.misses} + std::size_t{copies.announced};
  const unsigned each = bits_of(passes.copies.size());
  const std::size_t bits =
      2 * body_->loads.size() * each + body_->computed.size() + std::size_t{bits_of(experts)};
  if (bits > 62) return false;
  packing_.loads.clear();
  packing_.computed.clear();
  packing_.bits_of_layers = each;
  unsigned next = 0;
  const auto take = [&next](unsigned count) { return std::exchange(next, next + count); };
  for (std::size_t i = 0; i < body_->loads.size(); ++i) {
    const unsigned gates = take(each);
    packing_.loads.push_back({gates, take(each)});
  }
  for (std::size_t i = 0; i < body_->computed.size(); ++i) packing_.computed.push_back(take(1));
  packing_.copies = next;
  return true;
}

[[gnu::always_inline]] inline void PassLanes::add_packed(const LaneValues& path, std::int64_t times,
                                                         LaneSums& sums) const {
  const auto add_times = [&](const LaneSums& each, const LaneValues& passages)
      __attribute__((always_inline)) {
    sums.memory += each.memory * passages;
    sums.kernels += each.kernels * passages;
    sums.launches += each.launches * passages;
    sums.readback += each.readback * passages;
  };
  const std::int64_t layers = (std::int64_t{1} << packing_.bits_of_layers) - 1;
  for (std::size_t i = 0; i < packing_.loads.size(); ++i) {
    const LaneLoad& load = body_->loads[i];
    add_times(load.before_sums, ((path >> packing_.loads[i].gates) & layers) * times);
    add_times(load.experts_sums, ((path >> packing_.loads[i].experts) & layers) * times);
  }
  for (std::size_t i = 0; i < packing_.computed.size(); ++i)
    add_times(body_->computed[i].sums, ((path >> packing_.computed[i]) & 1) * times);
  sums.experts += (path >> packing_.copies) * times;
}

PREGATE_LANE_CLONES
void PassLanes::run(const LanePasses& passes, LaneValues& duration, LaneTotals& totals) {
  prepare(passes);
  if (pack(passes)) {
    LaneCell path;
    go_through(passes, *body_, CountedSteps<Packing>{packing_}, copies_.data(), ready_.data(),
               ready_counts_.data(), latencies_.data(), duration, path);
    add_packed(path.value, passes.times, totals.path);
  } else {
    LaneSums path{};
    go_through(passes, *body_, SummedSteps{*body_}, copies_.data(), ready_.data(), ready_sums_.data(),
               latencies_.data(), duration, path);
    totals.path.memory += path.memory * passes.times;
    totals.path.kernels += path.kernels * passes.times;
    totals.path.launches += path.launches * passes.times;
    totals.path.readback += path.readback * passes.times;
    totals.path.experts += path.experts * passes.times;
  }
  // What no operation accounts for is waiting for copies.
  LaneValues computing{};
  for (const std::uint16_t load : passes.loads)
    computing += body_->loads[load].before_experts + body_->loads[load].experts;
  for (const LaneComputed& each : body_->computed) computing += each.whole;
  totals.exposed_transfer += (duration - computing) * passes.times;
  if (passes.records_blocks)
    totals.blocks.add(std::span(latencies_).first(passes.copies.size()), passes.times);
}

}  // namespace pregate::sim
