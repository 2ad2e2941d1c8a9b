// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/layer_planner.hpp"

#include <algorithm>
#include <utility>

namespace pregate::sim {

namespace {

MemoryId host_memory(const Topology& topology, PlaceId gpu) { return topology[topology.cpu_of(gpu)].memory; }
Hop read_from_drive(const Topology& topology, MemoryId host) {
  return topology.route(topology.behind(host), host).front();
}
constexpr std::size_t index(int ordinal) { return static_cast<std::size_t>(ordinal); }

}  // namespace

LayerPlanner::LayerPlanner(const Topology& topology, PlaceId gpu, const ExpertMap& map, const Plan& plan,
                           const Estimates* estimates, Executor& executor, LayerProgram& program)
    : map_(map),
      plan_(plan),
      executor_(executor),
      topology_(topology),
      gpu_(gpu),
      cpu_(topology.cpu_of(gpu)),
      computes_(topology[gpu].compute),
      in_(topology.route(host_memory(topology, gpu), topology[gpu].memory).front()),
      out_(topology.route(topology[gpu].memory, host_memory(topology, gpu)).front()),
      program_(program),
      estimates_(estimates),
      names_experts_(executor.records()),
      needs_clock_(plan.needs_clock()),
      stops_at_gates_(executor.stops_at_gates() || needs_clock_),
      offloaded_(map.layers().size()),
      cache_(plan.cache_slots > 0 ? plan.make_cache() : nullptr),
      reads_(map.keys(), program_),
      slots_(map.keys(), static_cast<std::size_t>(plan.whole_slots()), in_, out_,
             plan.policy.transfer.write_back, reads_, program_, model_format, plan.first_slot),
      lookahead_(map, plan, offloaded_, cache_.get(), slots_, reads_, executor),
      remote_(topology, gpu_, plan.policy.miss.admission == MissAdmission::none ? nullptr : estimates,
              names_experts_, reads_, program_),
      service_(plan.make_miss_service()),
      hits_are_decreed_(plan.hits_are_decreed),
      waits_to_announce_(plan.policy.transfer.announced == AnnouncedCopies::one_layer),
      cache_watches_(cache_ && plan.cache_watches),
      asks_weights_(plan.policy.miss.service->needs_weights),
      gates_(map),
      kv_on_host_(!program_.shape().kv_on_host.empty()),
      synchronizes_(plan.policy.compute.synchronized == Synchronized::micro_batch),
      splits_(plan.splits_experts()),
      is_cached_(splits_ ? map.keys() : 0) {
  if (plan.policy.lookahead.predictor->predicts() && plan.policy.prefetch.prefetcher->computes_ahead)
    begun_.resize(map.layers().size());
  for (const ExpertKey key : plan.geometry.start) {
    if (cache_ && cache_->is_resident(key)) slots_.place(key);
  }
  if (plan.low) {
    const auto slots = static_cast<std::size_t>(plan.low->cache_slots + plan.low->buffer_slots);
    const auto first = static_cast<std::int32_t>(plan.first_slot + plan.cache_slots + plan.buffer_slots +
                                                 plan.prefill_slots);
    low_ = std::make_unique<FormatPool>(*plan.low, ExpertSlots(map.keys(), slots, in_, out_, WriteBack::none,
                                                               reads_, program_, low_format, first));
  }
  if (synchronizes_) {
    program_.watch(in_.stream);
    program_.watch(out_.stream);
  }
  if (plan.make_host_tier)
    reads_.set(plan.make_host_tier(), read_from_drive(topology, host_memory(topology, gpu)));
  for (std::size_t i = 0; i < offloaded_.size(); ++i) {
    const MoeLayer& layer = map.layers()[i];
    const auto first = plan.resident.begin() + layer.first_key;
    const auto resident = std::count(first, first + layer.experts, 1);
    offloaded_[i] = resident < layer.experts ? 1 : 0;
    some_resident_ = some_resident_ || resident > 0;
  }
}

std::vector<SlotUse> LayerPlanner::held_at_start() const {
  std::vector<SlotUse> held;
  for (const ExpertKey key : plan_.geometry.start) {
    if (slots_.holds(key)) held.push_back({key, slots_.slot_of(key)});
  }
  return held;
}

void LayerPlanner::run() {
  executor_.run(program_);
  program_.clear();
}

OpId LayerPlanner::compute(OpKind kind, int layer, int layer_class) {
  Work& work = program_.open(kind, computes_, layer);
  work.layer_class = layer_class;
  work.micro_batch = micro_batch_;
  program_.after(std::exchange(arrived_, no_op));
  return program_.close();
}

void LayerPlanner::begin_pass(const trace::Step& step, OpId begun) {
  decode_ = step.phase == trace::Phase::decode;
  tokens_ = step.tokens;
  counts_now_ = decode_ ? &decode_counts_ : &other_counts_;
  lookahead_.begin_step(step, map_.ordinals(step.stack));
  first_ordinal_ = map_.ordinals(step.stack).first;
  layer_ = layer_class_ = -1;
  for (BegunAhead& begun_ahead : begun_) begun_ahead = {};
  if (cache_watches_ || asks_weights_) {
    const cache::PassStart start = gates_.load(step);
    if (cache_watches_) cache_->begin_pass(start);
    if (cache_watches_ && low_ && low_->cache() != nullptr) low_->cache()->begin_pass(start);
  }
  // What is announced before the pass, or copied for its first layer, waits for an operation of this one, if
  // only one that takes no time.
  if (begun != no_op) {
    last_ = arrived_ = begun;
  } else if (program_.shape().step_overhead || lookahead_.announces_pass() || kv_on_host_) {
    last_ = compute(OpKind::step_overhead, -1, -1);
  }
  begin_kv_pass(step.phase);
}

void LayerPlanner::dense_layer(int layer, int layer_class) {
  if (!kv_pass_ && !synchronizes_) {
    last_ = compute_all(OpKind::dense_layer, layer, layer_class);
    return;
  }
  const auto of_part = [&] {
    const OpId computed = last_ = attend_over(OpKind::dense_layer, layer, layer_class);
    combine_attention();
    if (has_host_kv(layer_class) && !attends_on_cpu()) store_kv(layer, layer_class, computed);
  };
  if (!is_cut()) return of_part();
  for (std::size_t part = 0; part < micro_batches_.size(); ++part) {
    micro_batch_ = static_cast<int>(part);
    of_part();
  }
  micro_batch_ = -1;
}

void LayerPlanner::attend(int ordinal, int layer_class) {
  ordinal_ = ordinal;
  layer_ = map_.layers()[index(ordinal)].layer;
  layer_class_ = layer_class;
  slots_.begin_layer(layer_);
  if (low_) low_->begin_layer(layer_);
  reads_.begin_layer();
  last_ = block_first_ = attend_over(OpKind::attention, layer_, layer_class);
}

void LayerPlanner::gate() {
  combine_attention();
  Work& gate = program_.open(OpKind::gate, computes_, layer_);
  gate.layer_class = layer_class_;
  gate.ordinal = ordinal_;
  gate.micro_batch = micro_batch_;
  last_ = program_.close();
}

void LayerPlanner::issue_ids() {
  issue_read_back();
  if (has_host_kv(layer_class_) && !attends_on_cpu()) store_kv(layer_, layer_class_, block_first_);
}

void LayerPlanner::issue_read_back() {
  const int ordinal = ordinal_;
  reads_back_ = offloaded_[index(ordinal)] != 0 || lookahead_.announces(ordinal);
  if (reads_back_) {
    copies_.clear();
    if (waits_to_announce_) {
      for (const ExpertKey key : lookahead_.fetched(ordinal)) {
        if (slots_.holds(key)) copies_.push_back(slots_.ready(key));
      }
    }
    read_ids_back(last_);
  }
}

void LayerPlanner::stop_at_gate() {
  if (!stops_at_gates_ || (is_cut() && !needs_clock_)) return;
  run();
  if (reads_back_) now_ = executor_.wait(ids_known_);
}

void LayerPlanner::serve_layer(int ordinal, const StepRouting& routing, const StepPredictions* predictions) {
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  activated_ = static_cast<std::uint32_t>(activated.size());
  routed_ = routing.routed(ordinal);
  if (offloaded_[index(ordinal)] == 0) {
    if (reads_back_) lookahead_.observe(ordinal, routing);
    counts_now_->hits += static_cast<std::int64_t>(activated.size());
    announce(routing, predictions);
    copies_.clear();
    if (is_cut())
      compute_in_micro_batches(ordinal, activated, true);
    else
      issue_experts(activated, routing.tokens(ordinal), routing.routed(ordinal), true);
  } else {
    if (cache_watches_) {
      cache_->gate(gates_.outcome(ordinal, routing));
      if (low_ && low_->cache() != nullptr) low_->cache()->gate(gates_.outcome(ordinal, routing));
    }
    look_up(activated.size());
    if (lookahead_.is_active()) lookahead_.arrive(moment(), routing, ids_known_);
    if (service_ || !plan_.home.empty()) {
      split(ordinal, routing);
      serve_split(ordinal, routing, predictions);
    } else {
      classify(ordinal, activated);
      serve_misses(ordinal, routing, predictions);
    }
    release(ordinal);
  }
  if (reads_.any()) read_ahead(ordinal);
}

void LayerPlanner::leave_layer() {
  if (decode_ || plan_.measures_all_phases) program_.measure(block_first_, last_);
  run();
}

OpId LayerPlanner::end_pass(bool has_head) {
  if (has_head) last_ = compute_all(OpKind::head, -1, -1);
  if (plan_.cache_swaps) exchange_experts();
  run();
  counts_now_->written_back += slots_.written_back() - written_back_before_;
  written_back_before_ = slots_.written_back();
  counts_now_->drive_reads += reads_.count() - reads_before_;
  reads_before_ = reads_.count();
  const Lookahead::Announced announced = lookahead_.take_counts();
  counts_now_->foreseeable += announced.foreseeable;
  counts_now_->guesses += announced.guesses;
  counts_now_->right_guesses += announced.right;
  counts_now_->cancelled += announced.cancelled;
  return last_;
}

void LayerPlanner::read_ids_back(OpId after) {
  Work& work = program_.open(OpKind::gate_readback, out_.stream, layer_);
  work.layer_class = layer_class_;
  work.micro_batch = micro_batch_;
  program_.after(after);
  for (const OpId copy : copies_) program_.after_copy(copy);
  ids_known_ = program_.close();
}

/// Its copies, and what waits for the ids, begin when the host has found them.
void LayerPlanner::look_up(std::size_t experts) {
  if (!program_.shape().looks_up || experts == 0) return;
  Work& work = program_.open(OpKind::gate_readback, out_.stream, layer_);
  work.layer_class = layer_class_;
  work.routed = static_cast<std::uint32_t>(experts);
  program_.after(ids_known_);
  ids_known_ = program_.close();
  if (!stops_at_gates_) return;
  run();
  now_ = executor_.wait(ids_known_);
}

Moment LayerPlanner::moment() const {
  return {.now = now_,
          .clock = plan_.needs_clock() ? &executor_ : nullptr,
          .estimates = estimates_,
          .topology = &topology_,
          .fetches = in_.stream,
          .cpu = cpu_,
          .decode = decode_,
          .tokens = tokens_,
          .ordinal = ordinal_,
          .layer_class = layer_class_,
          .activated = activated_,
          .routed = routed_,
          .map = &map_};
}

}  // namespace pregate::sim
