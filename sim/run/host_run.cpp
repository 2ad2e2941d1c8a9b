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
      arena_(static_cast<std::size_t>(plan.cache_slots + plan.buffer_slots + plan.prefill_slots)),
      slot_of_(map.keys(), -1),
      alike_(static_cast<std::size_t>(costs.layer_classes())) {
  const PlaceId cpu = topology.first(PlaceKind::cpu);
  const MemoryId gpu = topology[topology.first(PlaceKind::gpu)].memory;
  sends_over_ = topology.route(gpu, topology[cpu].memory).front().crosses;
  computes_over_ = topology[cpu].reads_over;
  returns_over_ = topology.sent_by(cpu, gpu).crosses;
}

void HostRun::begin_pass(const Pass& pass) {
  const bool decode = pass.info.step.phase == trace::Phase::decode;
  counts_ = decode ? &decode_counts_ : &other_counts_;
  costs_.begin_step(pass.info.shape);
  clock_.begin_pass(decode || measures_all_phases_);
  if (pass.info.shape.tokens == tokens_) return;
  tokens_ = pass.info.shape.tokens;
  out_ = clock_.lanes().host_flow(costs_.activations_out(), sends_over_);
  back_ = clock_.lanes().host_flow(costs_.activations_back(), returns_over_);
  out_at_memory_ = costs_.activations_out().host_bound;
  back_at_memory_ = costs_.activations_back().host_bound;
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

void HostRun::moe_layer(int ordinal, int layer_class, const StepRouting& routing) {
  split(ordinal, routing);
  const LayerCost& cost = costs_.layer(layer_class);
  BusLayer layer{.attention_and_gate = cost.attention + cost.gate,
                 .experts = costs_.experts(layer_class, on_gpu_.tokens(), on_gpu_.routed(), tokens_, true),
                 .readback = cost.gate_readback,
                 .host = {},
                 .copied = 0,
                 .awaited = awaited_};
  if (!on_cpu_.keys().empty()) {
    const Computed& computed = on_cpu(layer_class);
    const auto count = static_cast<std::int64_t>(on_cpu_.keys().size());
    credit_ = std::min(credit_ + computed.flow.duration(), costs_.fetch_train() * count);
    layer.host = {&out_, &computed.flow, &back_, out_at_memory_, computed.at_memory, back_at_memory_};
    layer.copied = fetch_admitted();
  }
  clock_.run(layer);
  for (const ExpertKey key : on_gpu_.keys()) arena_[slot_of_[key]].reader = 1;
  release();
}

/// Parts the activated set into what is on the GPU, or on its way, and what the CPU computes; of the latter
/// some are admitted to the cache, as far as there is credit.
void HostRun::split(int ordinal, const StepRouting& routing) {
  const std::span<const ExpertKey> activated = routing.activated(ordinal);
  const std::span<const std::uint32_t> tokens = routing.tokens(ordinal);
  on_gpu_.clear();
  on_cpu_.clear();
  awaited_ = -1;
  for (std::size_t i = 0; i < activated.size(); ++i) {
    const std::int32_t slot = slot_of_[activated[i]];
    (slot >= 0 ? on_gpu_ : on_cpu_).add(activated[i], tokens[i]);
    if (slot >= 0 && arena_[slot].reader == 0) awaited_ = std::max(awaited_, arena_[slot].ready);
  }
  looked_up_.assign(on_gpu_.keys().begin(), on_gpu_.keys().end());
  std::size_t free = arena_.free_count();
  for (const ExpertKey key : on_cpu_.keys()) {
    if (!admits_ || free == 0 || !take_credit()) break;
    looked_up_.push_back(key);
    --free;
  }
  cache_->access(one_domain_ ? 0U : static_cast<std::uint32_t>(ordinal), looked_up_);
  const auto missed = static_cast<std::int64_t>(on_cpu_.keys().size());
  counts_->misses += missed;
  counts_->computed_on_cpu += missed;
  counts_->hits += static_cast<std::int64_t>(on_gpu_.keys().size());
}

bool HostRun::take_credit() {
  const Picoseconds price = costs_.fetch_train();
  if (credit_ < price) return false;
  credit_ -= price;
  return true;
}

const HostRun::Computed& HostRun::on_cpu(int layer_class) {
  const std::size_t count = on_cpu_.keys().size();
  const bool one_each = on_cpu_.routed() == count;
  std::vector<Computed>& of_class = alike_[static_cast<std::size_t>(layer_class)];
  if (one_each && of_class.size() <= count) of_class.resize(count + 1);
  Computed& computed = one_each ? of_class[count] : other_;
  if (one_each && computed.is_known) return computed;
  const CopyCost cost = costs_.cpu_experts(layer_class, static_cast<std::int64_t>(count), on_cpu_.routed());
  computed = {clock_.lanes().host_flow(cost, computes_over_), cost.host_bound, true};
  return computed;
}

/// Background copies of those that the cache took in.
std::uint32_t HostRun::fetch_admitted() {
  std::uint32_t copied = 0;
  for (const ExpertKey key : on_cpu_.keys()) {
    if (!cache_->is_resident(key)) continue;
    const std::int32_t index = arena_.take();
    arena_[index].ready = copies_++;
    arena_[index].reader = 0;
    slot_of_[key] = index;
    ++copied;
  }
  return copied;
}

void HostRun::release() {
  for (const ExpertKey key : cache_->evicted()) {
    if (slot_of_[key] < 0) continue;
    arena_.give_back(slot_of_[key]);
    slot_of_[key] = -1;
  }
}

}  // namespace pregate::sim
