// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A machine with two GPUs: a topology, and a placement that gives every second expert of a layer to the other
// one. Defined here, in one file.
#include <gtest/gtest.h>

#include "sim/engine/event_executor.hpp"
#include "sim/engine/stream_clock.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/layer_run.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

/// The machine's own GPU, and another like it behind a link of its own each way.
Topology with_second_gpu(const MachineSpec& machine) {
  Topology topology = topology_of(machine);
  Platform& platform = topology.platform;
  const MemoryId first = topology[topology.first(PlaceKind::gpu)].memory,
                 second = topology.add_memory("gpu1");
  const StreamId compute = platform.add_stream("gpu1.compute"), in = platform.add_stream("gpu1.in"),
                 out = platform.add_stream("gpu1.out");
  const ResourceId down = platform.add_resource("gpu1.down", machine.h2d.bandwidth),
                   up = platform.add_resource("gpu1.up", machine.d2h.bandwidth);
  topology.add_place({.name = "gpu1", .kind = PlaceKind::gpu, .memory = second, .compute = compute});
  topology.add_route(first, second, {{.stream = in, .crosses = bit(down), .link = host_to_gpu}});
  topology.add_route(second, first, {{.stream = out, .crosses = bit(up), .link = gpu_to_host}});
  return topology;
}

struct TwoGpus : testing::Test {
  ModelSpec model = test::tiny_model(2, 8, 4);
  MachineSpec machine = test::tiny_machine();
  PolicySpec policy = load_policy("on-demand");
  test::ListSource source{test::decoder_info(2, 8, 4)};

  TwoGpus() { source.add(trace::Phase::decode, 1, {0, 1, 2, 4, 1, 3, 5, 6}, true); }

  template <class Drive>
  SimulationResult with(Drive&& run_on) {
    const PreparedTrace prepared(source, model, "test");
    CostModel costs(model, machine, policy);
    SimulationResult result;
    result.topology = with_second_gpu(machine);
    std::optional<Plan> plan =
        plan_run(model, memory_limits(machine), policy, prepared, source, CountedExperts::all, result);
    const auto other = static_cast<PlaceId>(result.topology.places.size() - 1);
    for (const MoeLayer& layer : prepared.map().layers()) {
      for (int expert = 0; expert < layer.experts; ++expert)
        plan->home.push_back(expert % 2 == 0 ? std::nullopt : std::optional(other));
    }
    const CostEstimates estimates(costs);
    run_on(result, costs, prepared, [&](Executor& executor) {
      LayerRun runner(result.topology, prepared.map(), *plan, work_shape(costs), &estimates, executor);
      drive_trace(model, prepared, *plan, layer_class_of(costs), source, {}, runner, result);
    });
    return result;
  }
  SimulationResult timed() {
    return with([](SimulationResult& result, CostModel& costs, const PreparedTrace&, const auto& run) {
      StreamClock clock(result.topology, costs);
      run(clock);
    });
  }
  SimulationResult event(std::int64_t recorded = 0) {
    return with(
        [&](SimulationResult& result, CostModel& costs, const PreparedTrace& prepared, const auto& run) {
          EventExecutor executor(result.topology, costs, prepared.map(), recorded);
          run(executor);
          result.schedule = executor.schedule();
          result.timeline = executor.timeline();
        });
  }
};

// In each layer one GPU fetches its own experts and computes them, while the other one, which has its own,
// gets the activations, computes and sends them back; the layer ends with the later of the two. First layer:
// experts 0, 2, 4 here and 1 there; second: 6 here and 1, 3, 5 there.
TEST_F(TwoGpus, ALayerEndsWithTheLaterOfThem) {
  const SimulationResult result = event(10);
  struct Layer {
    Picoseconds ids, sent, there, back, here, combined;
    int fetched = 0;
  };
  std::vector<Layer> layers(2);
  const StreamId other = result.topology.platform.stream_named("gpu1.compute").value();
  for (std::size_t i = 0; i < result.schedule.size(); ++i) {
    const Operation& operation = result.schedule.operation(static_cast<OpId>(i));
    if (operation.layer < 0) continue;
    Layer& layer = layers[static_cast<std::size_t>(operation.layer)];
    const Picoseconds finish = result.timeline.finish[i], took = finish - result.timeline.start[i];
    if (operation.kind == OpKind::gate_readback) layer.ids = finish;
    if (operation.kind == OpKind::fetch) ++layer.fetched;
    if (operation.kind == OpKind::activations) (layer.sent.count == 0 ? layer.sent : layer.back) = finish;
    if (operation.kind == OpKind::experts && operation.stream == other) layer.there = finish - took;
    if (operation.kind == OpKind::experts && operation.stream != other) layer.here = finish;
    if (operation.kind == OpKind::combine) layer.combined = result.timeline.start[i];
  }
  EXPECT_EQ(layers[0].fetched, 3);
  EXPECT_EQ(layers[1].fetched, 1);
  for (const Layer& layer : layers) {
    EXPECT_EQ(layer.there, layer.sent) << "it starts as soon as it has the activations";
    EXPECT_EQ(layer.combined, std::max(layer.here, layer.back));
    const Picoseconds last_copy = layer.ids + copy_time() * layer.fetched;
    EXPECT_GE(layer.here, last_copy);
  }
  EXPECT_EQ(layers[0].combined, layers[0].here) << "three copies take longer than the way there and back";
  EXPECT_EQ(sim::run(result.schedule), result.timeline);
}

TEST_F(TwoGpus, ExecutorsAgree) {
  const SimulationResult a = timed(), b = event();
  EXPECT_EQ(a.total, b.total);
  EXPECT_EQ(a.tally.busy, b.tally.busy);
  EXPECT_EQ(a.tally.exposed_transfer, b.tally.exposed_transfer);
  EXPECT_EQ(a.tally.exposed_cpu, b.tally.exposed_cpu);
  EXPECT_EQ(a.tally.fetches, 4);
  EXPECT_EQ(a.decode_cache.hits, 4) << "what lives on the other GPU is there";
}

// What lives on the other GPU is not fetched ahead either: of the second layer only expert 6 is.
TEST_F(TwoGpus, NothingIsAnnouncedThatLivesElsewhere) {
  policy = load_policy("pre-gated");
  const SimulationResult a = timed(), b = event();
  EXPECT_EQ(a.total, b.total);
  EXPECT_EQ(a.tally.fetches, 4);
  EXPECT_EQ(a.decode_cache.prefetched, 1);
  EXPECT_EQ(a.decode_cache.wasted, 0);
}

}  // namespace
}  // namespace pregate::sim
