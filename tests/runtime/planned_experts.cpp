// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/planned_experts.hpp"

#include <stdexcept>

#include "sim/cost/price.hpp"
#include "sim/engine/event_executor.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/layer_run.hpp"
#include "tests/sim/tiny.hpp"

namespace pregate::runtime::test {

namespace {

/// An executor in virtual time that writes down what it is asked to compute.
class Noted final : public sim::Executor {
 public:
  explicit Noted(sim::Executor& inner) : inner_(inner) {}
  [[nodiscard]] const PlannedExperts& experts() const { return experts_; }

  [[nodiscard]] bool records() const override { return true; }
  void observe(const sim::OperationObservers& observers) override { inner_.observe(observers); }
  void begin_pass(const sim::PassInfo& pass) override {
    experts_.emplace_back();
    inner_.begin_pass(pass);
  }
  void run(const sim::LayerProgram& program) override {
    for (const sim::Work& work : program.work()) {
      if (work.kind != sim::OpKind::experts && work.kind != sim::OpKind::cpu_experts) continue;
      for (const sim::SlotUse& use : program.uses(work)) {
        const auto [at, added] = experts_.back().emplace(use.key, work.format);
        if (!added && at->second != work.format) throw std::logic_error("one expert in two formats");
      }
    }
    inner_.run(program);
  }
  Picoseconds wait(sim::OpId operation) override { return inner_.wait(operation); }
  [[nodiscard]] bool is_done(sim::OpId operation) const override { return inner_.is_done(operation); }
  [[nodiscard]] Picoseconds backlog(sim::StreamId stream) const override { return inner_.backlog(stream); }
  bool cancel(sim::OpId copy) override { return inner_.cancel(copy); }
  Picoseconds end_pass(sim::OpId last) override { return inner_.end_pass(last); }
  void finish() override { inner_.finish(); }
  [[nodiscard]] const sim::Tally& tally() const override { return inner_.tally(); }
  [[nodiscard]] sim::PathPoint end() const override { return inner_.end(); }

 private:
  sim::Executor& inner_;
  PlannedExperts experts_;
};

}  // namespace

PlannedExperts planned_experts(const ModelSpec& model, const PolicySpec& policy, trace::StepSource& source) {
  const MachineSpec machine = pregate::test::tiny_machine();
  const sim::PreparedTrace prepared(source, model, "test");
  sim::SimulationResult result;
  sim::CostModel costs(model, machine, policy);
  result.topology = sim::topology_of(machine);
  const auto plan = sim::plan_run(model, sim::memory_limits(machine), policy, prepared, source,
                                  sim::CountedExperts::all, result, 0);
  if (!plan) throw std::logic_error("it does not fit");
  const sim::CostEstimates estimates(costs);
  sim::EventExecutor inner(result.topology, costs, prepared.map(), 0);
  Noted noted(inner);
  sim::LayerRun runner(result.topology, prepared.map(), *plan, sim::work_shape(costs), &estimates, noted);
  sim::drive_trace(model, prepared, *plan, sim::layer_class_of(costs), source, {}, runner, result);
  return noted.experts();
}

}  // namespace pregate::runtime::test
