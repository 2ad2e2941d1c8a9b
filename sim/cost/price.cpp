// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/price.hpp"

#include <algorithm>

namespace pregate::sim {

WorkShape work_shape(const CostModel& costs) {
  return {.chunks = costs.chunks(),
          .stages = costs.device_copy().count > 0,
          .step_overhead = costs.has_step_overhead(),
          .looks_up = costs.lookup().count > 0};
}

Price Pricer::of_flow(const CopyCost& cost) {
  flow_ = cost;
  return {flow_.duration, &flow_, {}};
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
      return on_gpu(gpu.layer(own_class).attention);
    case OpKind::gate:
      return on_gpu(gpu.layer(own_class).gate);
    case OpKind::gate_readback:
      if (work.routed > 0) return {gpu.lookup() * work.routed, nullptr, {}};
      return {gpu.layer(own_class).gate_readback, nullptr, {}};
    case OpKind::experts: {
      CostModel& costs = gpu.in(work.format);
      const int layer_class = gpu.class_in(work.format, own_class);
      return on_gpu(costs.experts(layer_class, program.tokens(work), work.routed, tokens_, work.with_shared));
    }
    case OpKind::head:
      return on_gpu(gpu.head());
    case OpKind::fetch:
      return fetch(0, work.format, work.stream);
    case OpKind::write_back:
      return {gpu.write_back().duration, &gpu.write_back(), {}};
    case OpKind::device_copy:
      return device_copy(work.stream);
    case OpKind::activations: {
      const int tokens =
          work.routed == 0
              ? tokens_
              : static_cast<int>(std::min<std::uint32_t>(work.routed, static_cast<std::uint32_t>(tokens_)));
      return of_flow(gpu.activations(work.link, tokens));
    }
    case OpKind::cpu_experts:
      return of_flow(costs_.experts_at(work.at, work.layer_class, work.tokens.size, work.routed));
    case OpKind::read_through: {
      const GpuTime time =
          gpu.experts(own_class, program.tokens(work), work.routed, tokens_, work.with_shared);
      Price price = of_flow(gpu.read_through(time, work.tokens.size));
      price.gpu = time;
      return price;
    }
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
