// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What the layers of a pass come to when it ends: the critical path, followed back, and the sums.
#include <algorithm>

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

CountedClock::Row CountedClock::start_of_experts(std::int32_t layer) const {
  if (ahead_count_ > 0) return row_to_start(layer);
  const Record& record = records_[static_cast<std::size_t>(layer)];
  return {record.after_ids_of, record.experts};
}

std::int32_t CountedClock::follow(std::int32_t at, CountedSums& sums) {
  while (at >= 0) {
    const Record& record = records_[static_cast<std::size_t>(at)];
    ++passages_[record.kind].gates;
    if (record.computed != none) add(sums, computed_[static_cast<std::size_t>(record.computed)]);
    if (at == 0) break;
    const Record& before = records_[static_cast<std::size_t>(at) - 1];
    ++passages_[before.kind].experts;
    sums.experts += before.experts;
    at = before.after_ids_of;
  }
  return at;
}

std::int32_t CountedClock::follow_ahead(std::int32_t at, CountedSums& sums) {
  auto between = between_.rbegin();
  while (at >= 0) {
    ++passages_[ahead_.kinds[at]].gates;
    while (between != between_.rend() && between->layer > at) ++between;
    if (between != between_.rend() && between->layer == at) add(sums, between->computed);
    if (at == 0) break;
    ++passages_[ahead_.kinds[at - 1]].experts;
    const Row row = row_to_start(at - 1);
    sums.experts += row.experts;
    at = row.after_ids_of;
  }
  return at;
}

CountedSums CountedClock::path_to(std::int32_t after_ids_of, std::int64_t experts) {
  CountedSums sums;
  sums.experts = experts;
  passages_.assign(kinds_.size(), {});
  const std::int32_t at = ahead_count_ > 0 ? follow_ahead(after_ids_of, sums) : follow(after_ids_of, sums);
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
    if (ahead_count_ > 0) exposed_transfer_ -= (kind.to_ids + kind.experts) * kind.layers;
  }
  for (const CountedSums& computed : computed_) add(all_, computed);
  for (const Between& between : between_) add(all_, between.computed);
  add(all_, computed_now_);
  if (const std::int32_t last = layers_of_pass() - 1; last >= 0) {
    const Row row = start_of_experts(last);
    CountedSums path = path_to(row.after_ids_of, row.experts);
    path.add(kinds_[kind_of_layer(last)].times.experts);
    // Copies that end before decide nothing any more.
    if (copies_.finish >= compute_) {
      const Row copies = ahead_count_ > 0 ? row_to(last, true) : Row{copies_.after_ids_of, copies_.experts};
      copies_path_ = path_to(copies.after_ids_of, copies.experts);
    }
    compute_path_ = path;
  }
  add(compute_path_, computed_now_);
  copies_.after_ids_of = CountedCopies::before_pass;
  copies_.experts = 0;
  kinds_.clear();
  records_.clear();
  ahead_count_ = 0;
  computed_.clear();
  between_.clear();
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
