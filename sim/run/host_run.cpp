// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/run/host_run.hpp"

#include <algorithm>

namespace pregate::sim {

HostRun::HostRun(const Topology& topology, const ExpertMap& map, const Plan& plan, CostModel& costs)
    : map_(map),
      costs_(costs),
      cache_(plan.make_cache()),
      one_domain_(plan.policy.cache.scope == CacheScope::global),
      admits_(plan.policy.miss.admission != MissAdmission::none),
      measures_all_phases_(plan.measures_all_phases),
      clock_(topology, costs.fetch(), costs.last_chunk(), costs.chunks()),
      free_slots_(plan.cache_slots + plan.buffer_slots + plan.prefill_slots),
      is_there_(map.keys()),
      unread_(map.keys(), -1),
      alike_(static_cast<std::size_t>(costs.layer_classes())) {
  const PlaceId cpu = topology.first(PlaceKind::cpu);
  const MemoryId gpu = topology[topology.first(PlaceKind::gpu)].memory;
  sends_over_ = topology.route(gpu, topology[cpu].memory).front();
  computes_over_ = topology[cpu].reads_over;
  returns_over_ = topology.sent_by(cpu, gpu);
}

void HostRun::begin_pass(const Pass& pass) {
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  counts_ = decode ? &decode_counts_ : &other_counts_;
  costs_.begin_step(pass.info.shape);
  clock_.begin_pass(decode || measures_all_phases_);
  if (pass.info.shape.tokens == tokens_) return;
  tokens_ = pass.info.shape.tokens;
  const CopyCost out = costs_.activations(sends_over_.link, tokens_);
  const CopyCost back = costs_.activations(returns_over_.link, tokens_);
  out_ = clock_.lanes().host_flow(out, sends_over_.crosses);
  back_ = clock_.lanes().host_flow(back, returns_over_.crosses);
  out_at_memory_ = out.host_bound;
  back_at_memory_ = back.host_bound;
}

Picoseconds HostRun::run(const Pass& pass) {
  begin_pass(pass);
  if (costs_.has_step_overhead()) clock_.compute(costs_.step_overhead());
  int ordinal = pass.first_ordinal;
  for (const PassLayer& layer : pass.layers) {
    if (layer.moe) {
      moe_layer(ordinal++, layer.layer_class, pass.routing);
    } else {
      clock_.compute(costs_.layer(layer.layer_class).attention);
    }
  }
  if (pass.info.step.phase != trace::Phase::encoder) clock_.compute(costs_.head());
  return clock_.end_pass();
}

void HostRun::Part::make_room(std::size_t activated) {
  if (tokens.size() >= activated) return;
  keys.resize(2 * activated);
  tokens.resize(activated);
}

void HostRun::moe_layer(int ordinal, int layer_class, const StepRouting& routing) {
  split(ordinal, routing);
  const LayerCost& cost = costs_.layer(layer_class);
  const std::span<const std::uint32_t> tokens{on_gpu_.tokens.data(), on_gpu_.count};
  BusLayer layer{.attention_and_gate = cost.attention + cost.gate,
                 .experts = costs_.experts(layer_class, tokens, on_gpu_.routed, tokens_, true),
                 .readback = cost.gate_readback,
                 .host = {},
                 .copied = 0,
                 .awaited = awaited_};
  if (on_cpu_.count > 0) {
    const Computed& computed = on_cpu(layer_class);
    credit_ = std::min(credit_ + computed.flow.duration(),
                       costs_.fetch_train() * static_cast<std::int64_t>(on_cpu_.count));
    layer.host = {&out_, &computed.flow, &back_, out_at_memory_, computed.at_memory, back_at_memory_};
    layer.copied = fetch_admitted();
  }
  clock_.run(layer);
  for (const ExpertKey key : cache_->evicted()) {
    free_slots_ += is_there_[key];
    is_there_[key] = 0;
    unread_[key] = -1;
  }
}

/// Parts the activated set into what is on the GPU, or on its way, and what the CPU computes; of the latter
/// some are admitted to the cache, as far as there is credit.
void HostRun::split(int ordinal, const StepRouting& routing) {
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  const std::span<const std::uint32_t> tokens = routing.tokens(ordinal);
  on_gpu_.make_room(activated.size());
  on_cpu_.make_room(activated.size());
  // Who is there is close to a coin toss: no branch. Pointers and sums in locals: stores may alias members.
  ExpertKey* const gpu_keys = on_gpu_.keys.data();
  ExpertKey* const cpu_keys = on_cpu_.keys.data();
  std::uint32_t* const gpu_tokens = on_gpu_.tokens.data();
  const std::uint8_t* const is_there = is_there_.data();
  std::int64_t* const unread = unread_.data();
  std::size_t on_gpu = 0;
  std::size_t on_cpu = 0;
  std::uint32_t routed = 0;
  std::int64_t awaited = -1;
  for (std::size_t i = 0; i < activated.size(); ++i) {
    const ExpertKey key = activated[i];
    const std::uint32_t there = is_there[key];
    gpu_keys[on_gpu] = key;
    gpu_tokens[on_gpu] = tokens[i];
    cpu_keys[on_cpu] = key;
    on_gpu += there;
    on_cpu += 1 - there;
    routed += there * tokens[i];
    awaited = std::max(awaited, unread[key]);
    unread[key] = -1;
  }
  on_gpu_.count = on_gpu;
  on_gpu_.routed = routed;
  on_cpu_.count = on_cpu;
  on_cpu_.routed = routing.routed(ordinal) - routed;
  awaited_ = awaited;
  // What is looked up are those on the GPU, then who is admitted; the keys behind them are in nobody's way.
  const Picoseconds price = costs_.fetch_train();
  const std::size_t room = admits_ ? std::min(on_cpu, static_cast<std::size_t>(free_slots_)) : 0;
  std::size_t admitted = 0;
  for (std::size_t i = 0; i < activated.size(); ++i) {
    const Picoseconds paid = price * (static_cast<std::int64_t>(i) + 1);
    admitted += static_cast<std::size_t>(i < room) & static_cast<std::size_t>(paid <= credit_);
    gpu_keys[on_gpu + i] = cpu_keys[i];
  }
  admitted_ = admitted;
  credit_ -= price * static_cast<std::int64_t>(admitted_);
  cache_->access(one_domain_ ? 0U : static_cast<std::uint32_t>(ordinal),
                 {on_gpu_.keys.data(), on_gpu_.count + admitted_});
  const auto missed = static_cast<std::int64_t>(on_cpu_.count);
  counts_->misses += missed;
  counts_->computed_on_cpu += missed;
  counts_->hits += static_cast<std::int64_t>(on_gpu_.count);
}

const HostRun::Computed& HostRun::on_cpu(int layer_class) {
  const std::size_t count = on_cpu_.count;
  const bool one_each = on_cpu_.routed == count;
  std::vector<Computed>& of_class = alike_[static_cast<std::size_t>(layer_class)];
  if (one_each && of_class.size() <= count) of_class.resize(count + 1);
  Computed& computed = one_each ? of_class[count] : other_;
  if (one_each && computed.is_known) return computed;
  const CopyCost cost = costs_.cpu_experts(layer_class, static_cast<std::int64_t>(count), on_cpu_.routed);
  computed = {clock_.lanes().host_flow(cost, computes_over_), cost.host_bound, true};
  return computed;
}

/// Background copies of those that the cache took in.
std::uint32_t HostRun::fetch_admitted() {
  const std::int64_t before = copies_;
  for (std::size_t i = 0; i < admitted_; ++i) {
    const ExpertKey key = on_cpu_.keys[i];
    const bool is_taken_in = cache_->is_resident(key);
    is_there_[key] = is_taken_in ? 1 : 0;
    unread_[key] = is_taken_in ? copies_ : -1;
    copies_ += is_taken_in ? 1 : 0;
  }
  free_slots_ -= copies_ - before;
  return static_cast<std::uint32_t>(copies_ - before);
}

}  // namespace pregate::sim
