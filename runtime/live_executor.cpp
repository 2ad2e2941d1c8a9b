// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/live_executor.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>

namespace pregate::runtime {

using sim::OpId;
using sim::OpKind;
using sim::StreamId;

namespace {

using Clock = std::chrono::steady_clock;

std::int32_t device_copy_source(const sim::Request& request) {
  return request.slot >= 0 ? request.slot : request.uses.front().slot;
}

Picoseconds since(Clock::time_point begin) {
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count() * 1000};
}

}  // namespace

LiveExecutor::LiveExecutor(Device& device, Stream& compute, Stream& h2d, Stream& d2h, LayerRunner& layers,
                           const ExpertStore& store, const ExpertArena& arena, const sim::ExpertMap& map,
                           const sim::CostModel& costs, std::int64_t recorded_steps,
                           const PlantedFault& fault)
    : device_(device),
      compute_(compute),
      h2d_(h2d),
      d2h_(d2h),
      layers_(layers),
      store_(store),
      arena_(arena),
      map_(map),
      ledger_(costs.platform(), recorded_steps, costs.compute_traffic(), sim::Attribution::measured),
      fault_(fault),
      step_began_(device.make_event()),
      staged_(static_cast<std::size_t>(arena.slots())) {}

Stream& LiveExecutor::stream(StreamId id) {
  switch (id) {
    case StreamId::compute:
      return compute_;
    case StreamId::h2d:
      return h2d_;
    case StreamId::d2h:
      return d2h_;
    default:
      throw std::logic_error(std::string("the runtime has no stream ") + sim::to_string(id));
  }
}

LiveExecutor::Marks& LiveExecutor::marks_of(OpId operation) {
  return marks_[static_cast<std::size_t>(operation - first_)];
}

bool LiveExecutor::is_done(Handle operation) const {
  if (operation < first_) return true;
  if (operation == held_.id) return false;
  return device_.is_done(*marks_[static_cast<std::size_t>(operation - first_)].finish);
}

void LiveExecutor::begin_step(const trace::Step& step, std::int64_t number, int model_stack) {
  ledger_.begin_step(number, model_stack, step.tokens);
  layers_.prepare(step, number, model_stack);
  first_ = ledger_.next_id();
  stream_of_.clear();
  compute_.record(*step_began_);
  layers_.upload();
}

/// Streams run in order: of several operations on one stream the last one decides.
void LiveExecutor::wait_for(StreamId waiting, std::span<const OpId> operations) {
  std::array<OpId, sim::stream_count> last;
  last.fill(sim::no_op);
  for (const OpId operation : operations) {
    if (operation < first_) continue;     // of an earlier step, which has ended
    if (operation == held_.id) continue;  // the wait that late_copy leaves out
    OpId& latest = last[static_cast<std::size_t>(stream_of_[static_cast<std::size_t>(operation - first_)])];
    latest = std::max(latest, operation);
  }
  last[static_cast<std::size_t>(waiting)] = sim::no_op;
  for (const OpId operation : last) {
    if (operation == sim::no_op) continue;
    const bool dropped = fault_.kind == PlantedFault::Kind::drop_wait && waits_ == fault_.at;
    ++waits_;
    if (!dropped) stream(waiting).wait(*marks_of(operation).finish);
  }
}

LiveExecutor::Handle LiveExecutor::issue(const sim::Request& request, const Dependencies& dependencies) {
  const Clock::time_point begin = Clock::now();
  const OpId id = ledger_.next_id();
  ledger_.add(request, dependencies.others(), dependencies.copies());
  stream_of_.push_back(request.stream);
  if (marks_.size() < stream_of_.size()) marks_.push_back({device_.make_event(), device_.make_event()});

  Stream& target = stream(request.stream);
  wait_for(request.stream, ledger_.dependencies());
  target.record(*marks_of(id).start);
  run(request, target);
  if (id != held_.id) target.record(*marks_of(id).finish);
  if (request.kind == OpKind::experts) {
    for (const sim::SlotUse& use : request.uses) copy_late(use.slot);
  }
  if (request.kind == OpKind::device_copy) copy_late(device_copy_source(request));
  if (request.kind == OpKind::gate_readback) readback_ = id;
  issue_time_ += since(begin);
  return id;
}

void LiveExecutor::run(const sim::Request& request, Stream& stream) {
  switch (request.kind) {
    case OpKind::step_overhead:
      break;  // what it stands for is the host's own work
    case OpKind::dense_layer:
      layers_.dense_layer(request.layer);
      break;
    case OpKind::attention:
      layers_.attention(request.layer);
      break;
    case OpKind::gate:
      layers_.gate(ordinal_);
      computed_ = 0;
      layer_open_ = false;
      break;
    case OpKind::gate_readback:
      layers_.read_ids(stream);
      break;
    case OpKind::experts:
      experts(request);
      break;
    case OpKind::head:
      layers_.head();
      break;
    case OpKind::fetch:
      fetch(request, stream);
      break;
    case OpKind::device_copy:
      device_copy(request, stream);
      break;
    case OpKind::write_back:
    case OpKind::activations:
    case OpKind::cpu_experts:
    case OpKind::combine:
      throw std::logic_error("the runtime neither writes experts back nor computes them on the CPU");
  }
}

void LiveExecutor::fetch(const sim::Request& request, Stream& stream) {
  const DeviceSpan to = arena_.slot(request.slot);
  sim::ExpertKey key = request.key;
  if (fault_.kind == PlantedFault::Kind::corrupt_copy && fetches_ == fault_.at) key = (key + 1) % map_.keys();
  ++fetches_;
  // Equal chunks; the last one takes what is left.
  const Bytes chunk = request.copy->bytes;
  const bool last = request.chunk + 1 == request.chunks;
  const Bytes at = last ? to.size() - chunk : chunk * request.chunk;
  const bool late = fault_.kind == PlantedFault::Kind::late_copy && fetches_ - 1 == fault_.at;
  if (late) {
    held_ = {ledger_.next_id() - 1, request.slot, to.part(at, chunk), key, at};
  } else {
    store_.fetch(stream, to.part(at, chunk), key, at);
  }
  staged_[static_cast<std::size_t>(request.slot)] = {};
}

/// To be called when a reader of the slot has been issued.
void LiveExecutor::copy_late(std::int32_t slot) {
  if (held_.id == sim::no_op || held_.slot != slot) return;
  if (!reader_ran_) reader_ran_ = device_.make_event();
  compute_.record(*reader_ran_);
  h2d_.wait(*reader_ran_);
  store_.fetch(h2d_, held_.to, held_.key, held_.at);
  h2d_.record(*marks_of(held_.id).finish);
  held_ = {};
}

void LiveExecutor::device_copy(const sim::Request& request, Stream& stream) {
  const std::int32_t slot = device_copy_source(request);
  const DeviceSpan buffer = arena_.working_buffer(working_buffer_++);
  stream.copy_on_device(buffer, arena_.slot(slot));
  staged_[static_cast<std::size_t>(slot)] = buffer;
}

void LiveExecutor::experts(const sim::Request& request) {
  if (!layer_open_) layers_.begin_experts();
  layer_open_ = true;
  weights_.clear();
  const sim::ExpertKey first_key = map_.layers()[static_cast<std::size_t>(ordinal_)].first_key;
  for (const sim::SlotUse& use : request.uses) {
    DeviceSpan weights;
    if (use.slot < 0) {
      weights = arena_.resident(use.key);
    } else {
      weights = staged_[static_cast<std::size_t>(use.slot)];
      if (weights.data() == nullptr) weights = arena_.slot(use.slot);
    }
    weights_.push_back({static_cast<int>(use.key - first_key), weights});
  }
  layers_.experts(weights_);
  computed_ += static_cast<int>(weights_.size());
  if (computed_ == layers_.activated()) layers_.end_experts();
}

void LiveExecutor::wait_for_gate() {
  if (readback_ == sim::no_op) return;
  device_.synchronize(*marks_of(readback_).finish);
  readback_ = sim::no_op;
  if (!layers_.ids_agree()) {
    d2h_.synchronize();  // a failure of the device explains it better
    compute_.synchronize();
    throw DeviceError("the gate of MoE layer " + std::to_string(ordinal_) +
                      " chose other experts on the device than the trace says");
  }
}

Picoseconds LiveExecutor::end_step(Handle last) {
  if (held_.id != sim::no_op) copy_late(held_.slot);  // a guess that nobody read
  compute_.synchronize();
  h2d_.synchronize();
  d2h_.synchronize();
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
  static_cast<void>(last);  // it ends last, unless a guessed copy outlives it
  clock_ = end;
  return end;
}

}  // namespace pregate::runtime
