// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/retime/priced_log.hpp"

#include <span>

namespace pregate::sim {

namespace {

class Pricing {
 public:
  Pricing(const PassLog& log, bool offloads, const ModelSpec& model, const trace::TraceInfo& info,
          CostModel& costs)
      : log_(log), offloads_(offloads), costs_(costs) {
    priced_.loads.resize(log.loads.size());
    priced_.bodies.reserve(log.bodies.size());
    for (const std::string& name : info.stacks)
      other_layers_.push_back(other_layers(model.stacks[static_cast<std::size_t>(model.stack_index(name))]));
  }

  PricedLog run() {
    for (const LoggedBody& body : log_.bodies) price_body(body);
    return std::move(priced_);
  }

 private:
  /// A layer without experts of its own.
  struct OtherLayer {
    int layer = 0;
    std::size_t moe_before = 0;
  };
  static std::vector<OtherLayer> other_layers(const Stack& stack) {
    std::vector<OtherLayer> others;
    std::size_t moe = 0;
    for (int layer = 0; layer < static_cast<int>(stack.layers.size()); ++layer) {
      if (stack.is_moe(layer)) {
        ++moe;
      } else {
        others.push_back({layer, moe});
      }
    }
    return others;
  }
  void compute(const GpuTime& time, PricedBody& priced) {
    between_ += time;
    ++priced.computed;
    any_between_ = true;
    priced.sums.add(time);
    priced.computing += time.whole();
  }
  void end_between(std::size_t layer) {
    if (any_between_) priced_.between.push_back({layer, between_});
    between_ = {};
    any_between_ = false;
  }
  void price_load(std::size_t number, int model_stack, int tokens) {
    const LoggedLoad& load = log_.loads[number];
    const int layer_class = costs_.layer_class(model_stack, load.layer);
    const LayerCost& cost = costs_.layer(layer_class);
    const std::span<const std::uint32_t> each{log_.tokens.data() + load.first_token, load.activated};
    LayerTimes& times = priced_.loads[number];
    times = {cost.attention + cost.gate, costs_.experts(layer_class, each, load.routed, tokens, true),
             offloads_ ? cost.gate_readback : Picoseconds{}};
    const Picoseconds before = times.attention_and_gate.whole() + times.readback;
    if (before.count <= 0 || times.experts.whole().count <= 0) priced_.all_take_time = false;
  }
  void price_body(const LoggedBody& body) {
    const LoggedShape& logged = log_.shapes[body.shape];
    StepShape shape = logged.shape;
    shape.alike = logged.alike;
    costs_.begin_step(shape);
    for (std::size_t i = 0; i < body.loads; ++i)
      price_load(body.first_load + i, shape.model_stack, shape.tokens);
    PricedBody priced;
    priced.first_between = priced_.between.size();
    for (std::size_t i = 0; i < body.loads; ++i) {
      const LayerTimes& times = priced_.loads[body.first_load + i];
      const std::int64_t layers = log_.loads[body.first_load + i].layers;
      priced.sums.add(times.attention_and_gate, layers);
      priced.sums.add(times.experts, layers);
      priced.sums.readback += times.readback * layers;
      priced.computing += (times.attention_and_gate.whole() + times.experts.whole()) * layers;
    }
    if (costs_.has_step_overhead()) compute(costs_.step_overhead(), priced);
    std::size_t moe = 0;  // MoE layers before
    for (const OtherLayer& other : other_layers_[static_cast<std::size_t>(logged.stack)]) {
      if (other.moe_before != moe) end_between(moe);
      moe = other.moe_before;
      compute(costs_.layer(costs_.layer_class(shape.model_stack, other.layer)).attention, priced);
    }
    const std::size_t all_moe = log_.moe_layers(logged.stack);
    if (moe != all_moe) end_between(moe);
    moe = all_moe;
    if (shape.phase != trace::Phase::encoder) compute(costs_.head(), priced);
    end_between(moe);
    priced.last_between = priced_.between.size();
    priced_.bodies.push_back(priced);
  }

  const PassLog& log_;
  bool offloads_;
  CostModel& costs_;
  std::vector<std::vector<OtherLayer>> other_layers_;  // by stack of the trace
  PricedLog priced_;
  GpuTime between_{};
  bool any_between_ = false;
};

}  // namespace

PricedLog price(const PassLog& log, bool offloads, const ModelSpec& model, const trace::TraceInfo& info,
                CostModel& costs) {
  return Pricing(log, offloads, model, info, costs).run();
}

}  // namespace pregate::sim
