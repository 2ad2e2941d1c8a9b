// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/price.hpp"

#include <algorithm>

namespace pregate::sim {

WorkShape work_shape(const CostModel& costs) {
  return {.chunks = costs.chunks(),
          .stages = costs.device_copy().count > 0,
          .step_overhead = costs.has_step_overhead(),
          .looks_up = costs.lookup().count > 0,
          .kv_on_host = costs.kv_on_host()};
}

Price Pricer::of_kv(const CopyCost& cost) { return cost.bytes.count > 0 ? of_flow(cost) : Price{}; }

Price Pricer::of_flow(const CopyCost& cost) {
  flow_ = cost;
  return {flow_.duration, &flow_, {}};
}

/// Tokens of all groups may come to the experts of each GPU.
GpuTime Pricer::experts(const Work& work, const LayerProgram& program) {
  CostModel& gpu = costs_.on(work.stream);
  CostModel& costs = gpu.in(work.format);
  const int layer_class = gpu.class_in(work.format, costs_.class_on(work.stream, work.layer_class));
  const auto tokens = program.tokens(work);
  if (work.micro_batch < 0)
    return costs.experts(layer_class, tokens, work.routed, tokens_ * groups_, work.with_shared);
  const GpuTime routed =
      costs.experts(layer_class, tokens, work.routed, part(work).tokens * groups_, false, part(work).longer);
  return work.with_shared ? layer(work).shared + routed : routed;
}

/// Of a pass, or of so many routed ones, of which a token is sent once.
int Pricer::tokens_sent(const Work& work) const {
  const int of_pass = work.micro_batch < 0 ? tokens_ : part(work).tokens;
  if (work.routed == 0) return of_pass;
  return static_cast<int>(std::min<std::int64_t>(work.routed, std::int64_t{of_pass} * groups_));
}

Price Pricer::price(const Work& work, const LayerProgram& program) {
  const auto on_gpu = [](const GpuTime& time) { return Price{time.whole(), nullptr, time}; };
  CostModel& gpu = costs_.on(work.stream);
  const int own_class = costs_.class_on(work.stream, work.layer_class);
  switch (work.kind) {
    case OpKind::step_overhead:
      return on_gpu(gpu.step_overhead());
    case OpKind::dense_layer:
    case OpKind::attention:
      return on_gpu(layer(work).attention);
    case OpKind::gate:
      return on_gpu(layer(work).gate);
    case OpKind::gate_readback:
      if (work.routed > 0) return {gpu.lookup() * work.routed, nullptr, {}};
      return {layer(work).gate_readback, nullptr, {}};
    case OpKind::experts: {
      const GpuTime whole = experts(work, program);
      return on_gpu(work.parts == 1 ? whole : part_of(whole, work.part, work.parts));
    }
    case OpKind::head:
      return on_gpu(work.micro_batch < 0 ? gpu.head() : part(work).head);
    case OpKind::fetch:
      return fetch(0, work.format, work.stream);
    case OpKind::write_back:
      return {gpu.write_back().duration, &gpu.write_back(), {}};
    case OpKind::device_copy:
      return device_copy(work.stream);
    case OpKind::activations:
      return of_flow(gpu.activations(work.link, tokens_sent(work), work.parts));
    case OpKind::cpu_experts:
      return of_flow(costs_.experts_at(work.at, work.layer_class, work.tokens.size, work.routed));
    case OpKind::read_through: {
      const GpuTime time =
          gpu.experts(own_class, program.tokens(work), work.routed, tokens_ * groups_, work.with_shared);
      Price price = of_flow(gpu.read_through(time, work.tokens.size));
      price.gpu = time;
      return price;
    }
    case OpKind::kv_load:
      return of_kv(gpu.kv_copy(work.link, layer(work).kv.read));
    case OpKind::kv_store:
      return of_kv(gpu.kv_copy(work.link, layer(work).kv.written));
    case OpKind::cpu_attention:
      return of_kv(costs_.cpu_attention(layer(work).kv));
    case OpKind::combine:
      return {};
    case OpKind::predict:
      return on_gpu(kernel_time_of(costs_.prediction()));
    case OpKind::host_predict:
      return {costs_.prediction(), nullptr, {}};
    case OpKind::exchange:
      return {costs_.exchange(work.meeting), nullptr, {}};
    case OpKind::drive_read:
      return {costs_.drive_read(work.routed).duration, &costs_.drive_read(work.routed), {}};
  }
  return {};
}

}  // namespace pregate::sim
