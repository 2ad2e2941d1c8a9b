// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/live_executor.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "sim/engine/event_executor.hpp"

namespace pregate::runtime {

using sim::OpId;
using sim::OpKind;
using sim::StreamId;

namespace {

using HostClock = std::chrono::steady_clock;

/// Between two looks at what is due: a small part of a copy, and long enough to leave the core to others.
constexpr std::chrono::microseconds pause{20};

Picoseconds since(HostClock::time_point begin) {
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(HostClock::now() - begin).count() * 1000};
}

/// What each operation moves over a link.
struct BytesMoved {
  const std::array<FormatSource, 2>& formats;
  Bytes rows;  ///< of the pass
  [[nodiscard]] Bytes price(const sim::Work& work, const sim::LayerProgram&) const {
    if (work.kind == OpKind::activations) return rows;
    return work.kind == OpKind::write_back ? formats[0].copies.expert() : Bytes{};
  }
  [[nodiscard]] Bytes fetch(int chunk, sim::FormatId format, sim::StreamId) const {
    return formats[static_cast<std::size_t>(format)].copies.of(chunk);
  }
  [[nodiscard]] static Bytes device_copy(sim::StreamId) { return {}; }
};

}  // namespace

LiveExecutor::LiveExecutor(const sim::Topology& topology, Device& device, const LiveStreams& streams,
                           LayerRunner& layers, const std::array<FormatSource, 2>& formats,
                           const ExpertArena& arena, const sim::ExpertMap& map, const LiveOptions& options)
    : device_(device),
      compute_(streams.compute),
      h2d_(streams.h2d),
      d2h_(streams.d2h),
      host_experts_(streams.experts),
      drive_(streams.drive),
      host_slots_(streams.host_slots),
      layers_(layers),
      formats_(formats),
      arena_(arena),
      map_(map),
      ledger_(topology, options.recorded_steps, {}, sim::Attribution::measured),
      fault_(options.fault),
      step_began_(device.make_event()),
      held_by_(static_cast<std::size_t>(arena.slots()), -1),
      staged_(static_cast<std::size_t>(arena.slots())),
      slot_of_buffer_(static_cast<std::size_t>(arena.working_buffers()), -1),
      streams_(topology.platform.streams.size()),
      copy_order_(options.copies),
      copies_ahead_(options.copies_ahead),
      held_back_(options.copies == CopyOrder::by_priority),
      backlog_(options.expected) {
  const sim::Place& gpu = topology[topology.first(sim::PlaceKind::gpu)];
  const sim::Place& cpu = topology[topology.first(sim::PlaceKind::cpu)];
  const sim::MemoryId host = cpu.memory;
  streams_[sim::number_of(gpu.compute)] = &compute_;
  streams_[sim::number_of(topology.route(host, gpu.memory).front().stream)] = &h2d_;
  streams_[sim::number_of(topology.route(gpu.memory, host).front().stream)] = &d2h_;
  streams_[sim::number_of(cpu.compute)] = streams.cpu;
  if (drive_ != nullptr)
    streams_[sim::number_of(topology.route(topology.behind(host), host).front().stream)] = drive_;
  if (fault_.kind == PlantedFault::Kind::stale_unpacking) layers_.leave_out_unpacking(fault_.at);
  layers_.plant(fault_.cache);
}

Stream& LiveExecutor::stream(StreamId id) {
  Stream* const stream = streams_[sim::number_of(id)];
  if (stream == nullptr) throw std::logic_error("the runtime lacks a stream that the planner names");
  return *stream;
}

LiveExecutor::Marks& LiveExecutor::marks_of(OpId operation) {
  return marks_[static_cast<std::size_t>(operation - first_)];
}

bool LiveExecutor::is_done(OpId operation) const {
  if (operation < first_) return true;
  if (operation == held_.id || held_back_.holds(operation)) return false;
  return device_.is_done(*marks_[static_cast<std::size_t>(operation - first_)].finish);
}

void LiveExecutor::begin_pass(const sim::PassInfo& pass) {
  if (before_pass) before_pass(pass.shape);
  ledger_.begin_step(pass.number, pass.shape.model_stack, pass.step.tokens);
  layers_.prepare(pass);
  micro_batches_ = static_cast<std::int32_t>(pass.micro_batches.size());
  unread_.clear();
  first_ = ledger_.next_id();
  if (host_slots_ != nullptr) host_slots_->begin_pass();
  issued_.clear();
  given_to_device_ = 0;
  compute_.record(*step_began_);
  layers_.upload();
}

void LiveExecutor::run(const sim::LayerProgram& program) {
  if (host_slots_ != nullptr) expect_uses(program);
  if (!is_cut()) compute_here(program);
  BytesMoved bytes_of{formats_, layers_.hidden().size()};
  for (const sim::Work& work : program.work()) {
    const std::span<const sim::SlotUse> uses = program.uses(work);
    sim::for_each_operation(work, program, bytes_of, map_,
                            [&](const sim::Entry& entry, Bytes bytes, std::span<const OpId> others,
                                std::span<const OpId> copies) { issue(entry, bytes, uses, others, copies); });
  }
  for (const sim::LayerProgram::Block& block : program.blocks())
    ledger_.record_block(block.first, block.last);
}

/// Streams run in order: of several operations on one stream the one that it was given last decides.
void LiveExecutor::wait_for(StreamId waiting, std::span<const OpId> operations) {
  std::array<OpId, sim::most_streams> last;
  last.fill(sim::no_op);
  for (const OpId operation : operations) {
    if (operation < first_) continue;     // of an earlier step, which has ended
    if (operation == held_.id) continue;  // the wait that late_copy leaves out
    OpId& latest = last[sim::number_of(issued(operation).stream)];
    if (latest == sim::no_op || issued(operation).turn > issued(latest).turn) latest = operation;
  }
  last[static_cast<std::size_t>(waiting)] = sim::no_op;
  for (const OpId operation : last) {
    if (operation == sim::no_op) continue;
    const bool dropped = fault_.kind == PlantedFault::Kind::drop_wait && waits_ == fault_.at;
    ++waits_;
    if (!dropped) stream(waiting).wait(*marks_of(operation).finish);
  }
}

void LiveExecutor::issue(const sim::Entry& entry, Bytes bytes, std::span<const sim::SlotUse> uses,
                         std::span<const OpId> others, std::span<const OpId> copies) {
  let_host_know(others);
  const HostClock::time_point begin = HostClock::now();
  const OpId id = ledger_.next_id();
  ledger_.add(entry, bytes, others, copies);
  issued_.push_back({entry.stream});
  if (marks_.size() < issued_.size()) marks_.push_back({device_.make_event(), device_.make_event()});
  backlog_.issue(entry.stream, id, entry.kind);

  Stream& target = stream(entry.stream);
  const std::span<const OpId> before = ledger_.dependencies();
  if (copy_order_ != CopyOrder::at_once && &target == &h2d_) {
    held_back_.push({id, entry, bytes, {before.begin(), before.end()}});
    hand_over_what_is_due();
    issue_time_ += since(begin);
    return;
  }
  for (const OpId each : before) hand_over_through(each);
  wait_for(entry.stream, before);
  issued(id).turn = given_to_device_++;
  target.record(*marks_of(id).start);
  perform(id, entry, bytes, uses, target);
  if (id != held_.id) target.record(*marks_of(id).finish);
  if (late_read_ && entry.kind == OpKind::fetch) read_late(entry.key, id);
  if (entry.kind == OpKind::experts) {
    for (const sim::SlotUse& use : uses) copy_late(use.slot);
  }
  if (entry.kind == OpKind::device_copy) copy_late(entry.source);
  issue_time_ += since(begin);
}

void LiveExecutor::hand_over(const CopyQueue::Copy& copy) {
  const sim::Entry& entry = copy.entry;
  wait_for(entry.stream, copy.dependencies);
  issued(copy.id).turn = given_to_device_++;
  h2d_.record(*marks_of(copy.id).start);
  if (!copy.is_taken_back) {
    perform(copy.id, entry, copy.bytes, {}, h2d_);
  } else if (entry.kind == OpKind::fetch && fault_.kind == PlantedFault::Kind::cancelled_copy_lands &&
             taken_back_++ == fault_.at) {
    const DeviceSpan to = arena_.slot(entry.slot);
    const Bytes size = in(entry.format).copies.of(entry.chunk),
                at = chunk_begin(entry.chunk, size, to.size());
    lands_ = {copy.id, entry.slot, to.part(at, size), entry.key, at, entry.format};
  }
  h2d_.record(*marks_of(copy.id).finish);
  if (copy.is_taken_back && host_slots_ != nullptr && entry.kind == OpKind::fetch &&
      entry.chunk + 1 == chunks())
    host_slots_->give_up(entry.key);
  given_.push_back(copy.id);
}

void LiveExecutor::hand_over_through(OpId id) {
  if (held_back_.empty() || !held_back_.holds(id)) return;
  for (const CopyQueue::Copy& copy : held_back_.take_through(id)) hand_over(copy);
}

/// Of two copies one runs and one waits behind it, so that the link does not.
void LiveExecutor::hand_over_what_is_due() {
  const auto done = [this](OpId id) { return is_done(id); };
  const auto forget_made = [&] {
    while (!given_.empty() && is_done(given_.front())) given_.pop_front();
  };
  for (forget_made(); given_.size() < copies_ahead_; forget_made()) {
    const OpId next = held_back_.next(done);
    if (next == sim::no_op) return;
    hand_over_through(next);
  }
}

bool LiveExecutor::cancel(OpId copy) {
  if (!held_back_.take_back(copy)) return false;
  ledger_.make_empty(copy);
  backlog_.take_back(issued(copy).stream, copy);
  return true;
}

void LiveExecutor::perform(OpId id, const sim::Entry& entry, Bytes bytes, std::span<const sim::SlotUse> uses,
                           Stream& stream) {
  switch (entry.kind) {
    case OpKind::step_overhead:
      break;  // what it stands for is the host's own work
    case OpKind::dense_layer:
      layers_.dense_layer(entry.layer, entry.micro_batch);
      break;
    case OpKind::attention:
      layers_.attention(entry.layer, entry.micro_batch);
      break;
    case OpKind::gate:
      ordinal_ = entry.ordinal;
      layers_.gate(ordinal_, entry.micro_batch);
      break;
    case OpKind::gate_readback:
      layers_.read_ids(stream, entry.micro_batch);
      if (is_cut()) unread_.push_back({id, entry.micro_batch});
      break;
    case OpKind::experts:
      experts(entry, uses);
      break;
    case OpKind::head:
      layers_.head(entry.micro_batch);
      break;
    case OpKind::fetch:
      fetch(id, entry, bytes, stream);
      break;
    case OpKind::device_copy:
      device_copy(entry, stream);
      break;
    case OpKind::activations:
      if (&stream == &d2h_) {
        host_experts_->send(stream);
      } else {
        host_experts_->receive(stream);
      }
      break;
    case OpKind::cpu_experts:
      experts_on_cpu(id, uses, stream);
      break;
    case OpKind::combine:
      host_experts_->combine(stream);
      break;
    case OpKind::write_back:
      in(sim::model_format).store->write_back(stream, entry.key, arena_.slot(entry.slot));
      break;
    case OpKind::drive_read:
      read_from_drive(entry.key, stream);
      break;
    case OpKind::predict:
    case OpKind::host_predict:
    case OpKind::read_through:
    case OpKind::exchange:
    case OpKind::kv_load:
    case OpKind::kv_store:
    case OpKind::cpu_attention:
      throw std::logic_error("the planner issued what check_executable() lets no policy ask for");
  }
}

/// Of a layer's experts, those that its program computes on the device. The others the CPU computes, or
/// nobody.
void LiveExecutor::compute_here(const sim::LayerProgram& program) {
  bool computes = false;
  here_.clear();
  for (const sim::Work& work : program.work()) {
    if (work.kind != OpKind::experts) continue;
    computes = true;
    for (const sim::SlotUse& use : program.uses(work)) here_.push_back(use.key);
  }
  if (computes) layers_.compute_only(here_);
}

void LiveExecutor::experts(const sim::Entry& entry, std::span<const sim::SlotUse> uses) {
  weights_.clear();
  const sim::ExpertKey first_key = map_.layers()[static_cast<std::size_t>(ordinal_)].first_key;
  for (const sim::SlotUse& use : uses) {
    ExpertWeights found = use.slot < 0 ? ExpertWeights{0, arena_.resident(use.key), sim::model_format}
                                       : weights_in(use.slot, use.key);
    found.expert = static_cast<int>(use.key - first_key);
    weights_.push_back(found);
  }
  layers_.experts(weights_, entry.micro_batch);
}

Picoseconds LiveExecutor::took(OpId id) const {
  const Marks& marks = marks_[static_cast<std::size_t>(id - first_)];
  return std::max(Picoseconds{}, device_.elapsed(*marks.start, *marks.finish));
}

Picoseconds LiveExecutor::backlog(StreamId id) const {
  backlog_.settle(
      id, [this](OpId operation) { return is_done(operation); },
      [this](OpId operation) { return took(operation); });
  return backlog_.left(id, [this](OpId operation) {
    const Event& start = *marks_[static_cast<std::size_t>(operation - first_)].start;
    if (held_back_.holds(operation) || !device_.is_done(start)) return Picoseconds{};
    return std::max(Picoseconds{}, now_ - (clock_ + device_.elapsed(*step_began_, start)));
  });
}

void LiveExecutor::wait_on_host(const Event& known, int micro_batch) {
  // Nobody but the host hands over what is held back.
  while (!held_back_.empty() && !device_.is_done(known)) {
    hand_over_what_is_due();
    std::this_thread::sleep_for(pause);
  }
  device_.synchronize(known);
  if (layers_.ids_agree(micro_batch)) return;
  for (Stream* const each : streams_) {  // a failure of one of them explains it better
    if (each != nullptr) each->synchronize();
  }
  throw DeviceError("the gate of MoE layer " + std::to_string(ordinal_) +
                    " chose other experts on the device than the trace says");
}

Picoseconds LiveExecutor::wait(OpId ids_known) {
  const Event& known = *marks_of(ids_known).finish;
  if (unread_.empty()) wait_on_host(known, -1);
  const std::array<OpId, 1> last{ids_known};
  let_host_know(last);
  now_ = clock_ + std::max(Picoseconds{}, device_.elapsed(*step_began_, known));
  return now_;
}

/// In a pass that is cut the planner does not wait at gates: what depends on the ids of one part is given to
/// the device when the host has these, while other parts have not come to theirs.
void LiveExecutor::let_host_know(std::span<const OpId> dependencies) {
  for (const OpId each : dependencies) {
    while (!unread_.empty() && unread_.front().id <= each) {
      const ReadBack known = unread_.front();
      unread_.pop_front();
      wait_on_host(*marks_of(known.id).finish, known.micro_batch);
    }
  }
}

Picoseconds LiveExecutor::end_pass(OpId last) {
  if (held_.id != sim::no_op) copy_late(held_.slot);  // a guess that nobody read
  for (OpId id = first_; id < ledger_.next_id(); ++id) hand_over_through(id);
  given_.clear();
  for (Stream* const each : streams_) {
    if (each != nullptr) each->synchronize();
  }
  const auto at = [&](const Event& event) {
    return clock_ + std::max(Picoseconds{}, device_.elapsed(*step_began_, event));
  };
  Picoseconds end;
  ledger_.settle([](OpId) { return true; },
                 [&](OpId id) {
                   const Marks& marks = marks_of(id);
                   const Picoseconds start = at(*marks.start), finish = std::max(start, at(*marks.finish));
                   end = std::max(end, finish);
                   return sim::Ledger::Times{start, finish};
                 });
  for (std::size_t id = 0; id < streams_.size(); ++id) {
    backlog_.settle(
        static_cast<StreamId>(id), [](OpId) { return true; },
        [this](OpId operation) { return took(operation); });
  }
  static_cast<void>(last);  // it ends last, unless a guessed copy outlives it
  clock_ = end;
  if (after_pass) after_pass();
  return end;
}

}  // namespace pregate::runtime
