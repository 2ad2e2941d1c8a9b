// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>

namespace pregate::sim {

namespace {

Cause measured_cause(OpKind kind) {
  switch (kind) {
    case OpKind::fetch:
    case OpKind::write_back:
    case OpKind::activations:
    case OpKind::read_through:
    case OpKind::kv_load:
    case OpKind::kv_store:
      return Cause::link;
    case OpKind::drive_read:
      return Cause::drive;
    case OpKind::device_copy:
      return Cause::device_copies;
    case OpKind::cpu_experts:
    case OpKind::cpu_attention:
    case OpKind::host_predict:
      return Cause::cpu_arithmetic;
    case OpKind::gate_readback:
      return Cause::gate;
    case OpKind::step_overhead:
      return Cause::launches;
    case OpKind::exchange:
      return Cause::exchanges;
    default:
      return Cause::kernels;
  }
}

/// What an operation shares with others while it runs: the bus of the host's memory, save results that the
/// CPU sends to the GPU, which meet copies of experts on the link (the CPU computes nothing meanwhile). Time
/// that kernels lose on a bus that is theirs as well is time of their memory.
Cause shared_cause(OpKind kind, bool on_gpu, bool on_cpu) {
  if (kind == OpKind::cpu_experts || kind == OpKind::cpu_attention) return Cause::cpu_memory;
  if (kind == OpKind::read_through) return Cause::link;
  if (on_gpu) return Cause::gpu_memory;
  return kind == OpKind::activations && on_cpu ? Cause::link : Cause::copied_host_memory;
}

}  // namespace

Ledger::Ledger(const Topology& topology, std::int64_t recorded_steps, BytesPerSecond compute_traffic,
               Attribution attribution)
    : compute_traffic_(compute_traffic),
      attribution_(attribution),
      cpu_streams_(topology.streams_of(PlaceKind::cpu)),
      tally_(topology),
      streams_(topology.platform.streams.size()),
      last_of_(topology.platform.streams.size(), no_op),
      recorder_(topology.platform, recorded_steps) {
  for (const Place& place : topology.places) {
    if (place.kind == PlaceKind::gpu) gpu_reads_over_ |= place.reads_over;
  }
}

void Ledger::begin_step(std::int64_t step, int stack, int tokens) {
  step_ = step;
  stack_ = stack;
  tokens_ = tokens;
}

void Ledger::begin_operation(const Entry& entry) {
  operation_ = {};
  operation_.kind = entry.kind;
  operation_.stream = entry.stream;
  operation_.priority = entry.priority;
  operation_.stack = static_cast<std::uint16_t>(stack_);
  operation_.layer = entry.layer;
  operation_.expert = entry.expert;
  operation_.slot = entry.slot;
  operation_.count = entry.count;
  operation_.step = step_;
  operation_.tokens = tokens_;
}

const Operation& Ledger::add(const Entry& entry, Bytes bytes, std::span<const OpId> others,
                             std::span<const OpId> copies) {
  begin_operation(entry);
  operation_.bytes = bytes;
  if (bytes.count > 0) operation_.resources = entry.crosses;
  return enter({}, others, copies);
}

const Operation& Ledger::add(const Entry& entry, const Price& price, std::span<const OpId> others,
                             std::span<const OpId> copies) {
  begin_operation(entry);
  if (price.copy != nullptr) {
    operation_.fixed = price.copy->fixed;
    operation_.bytes = price.copy->bytes;
    operation_.rate = price.copy->rate;
    operation_.resources = entry.crosses;
  } else if (tally_.is_of_gpu(entry.stream) && compute_traffic_.value > 0 &&
             entry.kind != OpKind::step_overhead) {
    operation_.rate = compute_traffic_;
    operation_.bytes = {std::llround(price.duration.seconds() * operation_.rate.value)};
    operation_.resources = gpu_reads_over_;
  } else {
    operation_.fixed = price.duration;
  }
  return enter(Spending(entry.kind, price), others, copies);
}

const Operation& Ledger::enter(const Spending& spending, std::span<const OpId> others,
                               std::span<const OpId> copies) {
  submitted_.assign(others.begin(), others.end());
  submitted_.insert(submitted_.end(), copies.begin(), copies.end());
  recorder_.entered(next_id(), operation_, submitted_);
  pending_.push_back({next_id(), operation_.kind, operation_.stream, dependencies_.size(), others.size(),
                      submitted_.size(), operation_.bytes, spending});
  dependencies_.insert(dependencies_.end(), submitted_.begin(), submitted_.end());
  kept_.push_unwritten();
  return operation_;
}

void Ledger::make_empty(OpId id) {
  const auto pending =
      std::find_if(pending_.begin(), pending_.end(), [id](const Pending& p) { return p.id == id; });
  if (pending == pending_.end())
    throw std::logic_error("ledger: an operation that is settled was taken back");
  pending->bytes = {};
  pending->spending = {};
  recorder_.made_empty(id);
}

const PathPoint* Ledger::point(OpId id) const {
  if (id >= oldest()) return &kept_[static_cast<std::uint64_t>(id)].path;
  // Operations that are not kept ended before those that are pending now were issued, and decide nothing, but
  // for the last one of a stream, which another stream may wait for.
  const auto last = std::find(last_of_.begin(), last_of_.end(), id);
  return last == last_of_.end() ? nullptr : &streams_[static_cast<std::size_t>(last - last_of_.begin())];
}

void Ledger::account_all() {
  std::sort(settling_.begin(), settling_.end(), [](const Settling& a, const Settling& b) {
    return std::tuple(a.times.start, a.times.finish, a.id) < std::tuple(b.times.start, b.times.finish, b.id);
  });
  for (const Settling& settled : settling_) {
    account(pending_[settled.place], settled.times);
    pending_[settled.place].id = no_op;
  }
  settling_.clear();
  std::erase_if(pending_, [](const Pending& operation) { return operation.id == no_op; });
  account_blocks();
  forget_settled();
}

/// Of those that are done: of a pass under way some are not.
void Ledger::account_blocks() {
  const auto is_pending = [this](OpId id) {
    const auto at = std::lower_bound(pending_.begin(), pending_.end(), id,
                                     [](const Pending& each, OpId wanted) { return each.id < wanted; });
    return at != pending_.end() && at->id == id;
  };
  std::erase_if(blocks_, [&](const Block& block) {
    if (is_pending(block.last)) return false;
    const Kept& first = kept_[static_cast<std::uint64_t>(block.first)];
    const Picoseconds latency = kept_[static_cast<std::uint64_t>(block.last)].path.finish - first.start;
    tally_.block_latency.add(latency);
    for (OperationObserver* const observer : observers_) observer->block(latency);
    return true;
  });
}

void Ledger::forget_settled() {
  // What is pending may run already, started by one that is done.
  OpId kept = next_id();
  if (awaited_ != no_op && awaited_ >= oldest()) kept = awaited_;
  for (const Block& block : blocks_) kept = std::min(kept, block.first);
  for (const Pending& p : pending_) {
    kept = std::min(kept, p.id);
    for (std::size_t i = 0; i < p.dependency_count; ++i) {
      const OpId dependency = dependencies_[p.first_dependency + i];
      if (dependency >= oldest()) kept = std::min(kept, dependency);
    }
  }
  kept_.drop_before(static_cast<std::uint64_t>(kept));

  submitted_.clear();
  for (Pending& p : pending_) {
    const auto begin = dependencies_.begin() + static_cast<std::ptrdiff_t>(p.first_dependency);
    p.first_dependency = submitted_.size();
    submitted_.insert(submitted_.end(), begin, begin + static_cast<std::ptrdiff_t>(p.dependency_count));
  }
  dependencies_.swap(submitted_);
}

/// What sharing adds to an operation's own time is spent on the resource that it shared.
CauseSums Ledger::spent_on(const Pending& operation, Picoseconds took) const {
  CauseSums spent;
  if (attribution_ == Attribution::measured) {
    spent[measured_cause(operation.kind)] = took;
    return spent;
  }
  CauseSums alone;
  operation.spending.add_to(alone);
  if (took == operation.spending.duration()) return alone;
  Picoseconds left = took;
  for (int i = 0; i < cause_count; ++i) {
    const auto cause = static_cast<Cause>(i);
    spent[cause] = std::min(alone[cause], left);
    left -= spent[cause];
  }
  const bool on_gpu = tally_.is_of_gpu(operation.stream);
  const bool on_cpu = cpu_streams_[number_of(operation.stream)];
  if (on_gpu) left -= std::min(left, operation.spending.duration() - alone.total());  // its arithmetic
  spent[shared_cause(operation.kind, on_gpu, on_cpu)] += left;
  return spent;
}

void Ledger::account(const Pending& operation, Times times) {
  const auto [start, finish] = times;
  PathPoint& stream = streams_[number_of(operation.stream)];
  PathPoint last = stream;
  Picoseconds others{-1};
  for (std::size_t i = 0; i < operation.dependency_count; ++i) {
    const PathPoint* dependency = point(dependencies_[operation.first_dependency + i]);
    if (dependency == nullptr) continue;
    if (dependency->decides_over(last)) last = *dependency;
    if (i < operation.other_count) others = std::max(others, dependency->finish);
  }
  tally_.add_wait(operation.kind, operation.other_count < operation.dependency_count, others, start);
  if (operation.stream == tally_.leading) tally_.add_idle(operation.kind, stream.finish, others, start);
  const bool brings = operation.kind == OpKind::fetch || operation.kind == OpKind::read_through;
  const Bytes weights = brings ? operation.bytes : Bytes{};
  const CauseSums spent = spent_on(operation, finish - start);
  tally_.add(operation.kind, number_of(operation.stream), finish - start, weights);
  tally_.spent += spent;
  if (operation.kind == OpKind::read_through) tally_.reading += spent.transfer();
  for (OperationObserver* const observer : observers_) {
    observer->ended({operation.id, operation.kind, operation.stream, last.id, start, finish, weights, spent});
  }
  last.spent += spent;
  last.waiting += start - last.finish;
  last.finish = finish;
  last.id = operation.id;
  stream = last;
  last_of_[number_of(operation.stream)] = operation.id;
  kept_[static_cast<std::uint64_t>(operation.id)] = {last, start};
  if (stream.decides_over(end_)) end_ = stream;
  recorder_.ended(operation.id, start, finish);
}

}  // namespace pregate::sim
