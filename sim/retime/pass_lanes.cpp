// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/pass_lanes.hpp"

#include <algorithm>
#include <bit>

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
struct CountedSteps {
  const std::int64_t *gates, *all_experts, *others;
  unsigned bits;
  [[nodiscard]] std::int64_t gate(std::size_t load) const { return gates[load]; }
  [[nodiscard]] std::int64_t experts(std::size_t load) const { return all_experts[load]; }
  [[nodiscard]] std::int64_t computed(std::size_t place) const { return others[place]; }
  [[nodiscard]] std::int64_t copies(std::int64_t experts) const { return experts << bits; }
};

constexpr std::int64_t not_awaited = -1;

/// Pointers, as the loop over layers is all there is.
struct LaneRow {
  const LaneLoad* loads;
  const LaneComputed* computed;
  std::size_t computed_count;
  const std::uint16_t* load_of_layer;
  const LaneCell* durations;  ///< of copies, by how many experts
};

/// A pass: how long it takes, and its path. `ready` has room for `distance` layers more than there are. Where
/// nothing is announced for a layer, its `ready` is before everything. Whether any expert of a layer is
/// announced is close to a coin toss: no branch depends on it.
template <class Path, class Steps>
[[gnu::always_inline]] inline void go_through(const LanePasses& passes, const LaneRow& row,
                                              const Steps& steps, LaneCell* ready, Path* ready_path,
                                              LaneCell* latencies, LaneValues& duration, Path& path) {
  const std::size_t layers = passes.copies.size(), distance = passes.distance;
  const LayerCopies* const all_copies = passes.copies.data();
  LaneValues computed{};
  LaneValues copied = LaneValues{} - 1;  // when the copy stream is done: before the pass began
  Path copied_path{};
  std::size_t between = 0, next_between = row.computed_count > 0 ? row.computed[0].layer : layers + 1;
  const auto compute_between = [&]() __attribute__((always_inline)) {
    computed += row.computed[between].whole;
    add(path, steps.computed(between));
    ++between;
    next_between = between < row.computed_count ? row.computed[between].layer : layers + 1;
  };
  for (std::size_t i = 0; i < distance; ++i) ready[i].value = LaneValues{} + not_awaited;
  for (std::size_t i = 0; i < layers; ++i) {
    const std::size_t number = row.load_of_layer[i];
    const LaneLoad& load = row.loads[number];
    const LayerCopies copies = all_copies[i];
    if (next_between == i) compute_between();
    const LaneValues begin = computed;
    const LaneValues ids_known = computed + load.before_experts;
    add(path, steps.gate(number));
    const Path gate = path;
    const LaneValues awaited = ready[i].value >= ids_known;
    LaneValues start = awaited ? ready[i].value : ids_known;
    choose(path, awaited, ready_path[i]);
    if (copies.misses > 0) {  // of the first layers, or of none
      const LaneValues after_ids = ids_known > copied;
      choose(copied_path, after_ids, gate);
      copied = (after_ids ? ids_known : copied) + row.durations[copies.misses].value;
      add(copied_path, steps.copies(copies.misses));
      const LaneValues is_last = copied > start;
      start = is_last ? copied : start;
      choose(path, is_last, copied_path);
    }
    const LaneValues announces = LaneValues{} - (copies.announced > 0 ? 1 : 0);
    const LaneValues after_ids = (ids_known > copied) & announces;
    choose(copied_path, after_ids, gate);
    copied = (after_ids ? ids_known : copied) + row.durations[copies.announced].value;
    add(copied_path, steps.copies(copies.announced));
    ready[i + distance].value = copied | ~announces;  // all bits of not_awaited are set
    ready_path[i + distance] = copied_path;
    computed = start + load.experts;
    add(path, steps.experts(number));
    latencies[i].value = computed - begin;
  }
  if (next_between == layers) compute_between();
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

void PassLanes::begin_body(const LaneBody& body, std::span<const std::uint16_t> loads) {
  body_ = &body;
  loads_ = loads;
  // What no operation accounts for is waiting for copies.
  computing_ = LaneValues{};
  for (const std::uint16_t load : loads)
    computing_ += body.loads[load].before_experts + body.loads[load].experts;
  for (const LaneComputed& each : body.computed) computing_ += each.whole;
  pack();
  passages_.gates.assign(body.loads.size(), {});
  passages_.experts.assign(body.loads.size(), {});
  passages_.computed.assign(body.computed.size(), {});
  passages_.copies = LaneValues{};
  summed_ = LaneSums{};
  if (latencies_.size() < loads.size()) latencies_.resize(loads.size());
}

void PassLanes::pack() {
  const auto each = static_cast<unsigned>(std::bit_width(loads_.size()));
  constexpr unsigned most_bits = 62;
  const std::size_t bits = 2 * body_->loads.size() * each + body_->computed.size();
  packing_ = Packing();
  packing_.bits = static_cast<unsigned>(std::min<std::size_t>(bits, most_bits));
  packing_.bits_of_layers = each;
  if (bits >= most_bits) return;  // then no pass finds room
  unsigned next = 0;
  const auto take = [&next](std::vector<unsigned>& places, std::vector<std::int64_t>& ones, unsigned count) {
    places.push_back(next);
    ones.push_back(std::int64_t{1} << next);
    next += count;
  };
  for (std::size_t i = 0; i < body_->loads.size(); ++i) {
    take(packing_.gates, packing_.gate, each);
    take(packing_.experts, packing_.expert, each);
  }
  for (std::size_t i = 0; i < body_->computed.size(); ++i) take(packing_.computed, packing_.other, 1);
}

[[gnu::always_inline]] inline void PassLanes::count_packed(const LaneValues& path, std::int64_t times) {
  const std::int64_t layers = (std::int64_t{1} << packing_.bits_of_layers) - 1;
  const auto count = [&](std::vector<LaneCell> & counts, const std::vector<unsigned>& places,
                         std::int64_t mask) __attribute__((always_inline)) {
    LaneCell* const of = counts.data();
    const unsigned* const place = places.data();
    for (std::size_t i = 0; i < places.size(); ++i) of[i].value += ((path >> place[i]) & mask) * times;
  };
  count(passages_.gates, packing_.gates, layers);
  count(passages_.experts, packing_.experts, layers);
  count(passages_.computed, packing_.computed, 1);
  passages_.copies += (path >> packing_.bits) * times;
}

void PassLanes::end_body(LaneSums& path) {
  const auto add_times = [&](const LaneSums& each, const LaneCell& passages) {
    path.memory += each.memory * passages.value;
    path.kernels += each.kernels * passages.value;
    path.launches += each.launches * passages.value;
    path.readback += each.readback * passages.value;
  };
  for (std::size_t i = 0; i < passages_.gates.size(); ++i) {
    add_times(body_->loads[i].before_sums, passages_.gates[i]);
    add_times(body_->loads[i].experts_sums, passages_.experts[i]);
  }
  for (std::size_t i = 0; i < passages_.computed.size(); ++i)
    add_times(body_->computed[i].sums, passages_.computed[i]);
  path.experts += passages_.copies;
  add(path, summed_);
}

PREGATE_LANE_CLONES
void PassLanes::run(const LanePasses& passes, LaneValues& duration, LaneTotals& totals) {
  const std::size_t rows = passes.copies.size() + passes.distance;
  if (ready_.size() < rows) {
    ready_.resize(rows);
    ready_counts_.resize(rows);
    ready_sums_.resize(rows);
  }
  const LaneRow row{body_->loads.data(), body_->computed.data(), body_->computed.size(), loads_.data(),
                    copies_.data()};
  constexpr unsigned all_bits = 62;
  if (packing_.bits + static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(passes.experts))) <=
          all_bits &&
      packing_.bits < all_bits) {
    LaneCell path;
    const CountedSteps steps{packing_.gate.data(), packing_.expert.data(), packing_.other.data(),
                             packing_.bits};
    go_through(passes, row, steps, ready_.data(), ready_counts_.data(), latencies_.data(), duration, path);
    count_packed(path.value, passes.times);
  } else {
    LaneSums path{};
    go_through(passes, row, SummedSteps{*body_}, ready_.data(), ready_sums_.data(), latencies_.data(),
               duration, path);
    summed_.memory += path.memory * passes.times;
    summed_.kernels += path.kernels * passes.times;
    summed_.launches += path.launches * passes.times;
    summed_.readback += path.readback * passes.times;
    summed_.experts += path.experts * passes.times;
  }
  totals.exposed_transfer += (duration - computing_) * passes.times;
  if (passes.records_blocks)
    totals.blocks.add(std::span(latencies_).first(passes.copies.size()), passes.times);
}

}  // namespace pregate::sim
