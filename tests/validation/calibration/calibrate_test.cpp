// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/calibrate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <utility>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "sim/engine/event_engine.hpp"
#include "sim/engine/ledger.hpp"
#include "sim/policy/load_policy.hpp"
#include "tests/sim/tiny.hpp"
#include "tests/support/one_gpu.hpp"
#include "validation/calibration/ladder.hpp"
#include "validation/calibration/machine_toml.hpp"

namespace pregate::validation {
namespace {

void expect_near(Picoseconds a, Picoseconds b) {
  EXPECT_NEAR(a.seconds(), b.seconds(), 1e-5 * b.seconds() + 1e-12);
}

// Everything that the simulator reads comes back as it was written, to six digits.
TEST(MachineToml, ReadsBackWhatItWrote) {
  MachineSpec machine = load_machine("a100-80g-fastertransformer");
  machine.calibration = "measured";
  machine.calibration_source = "a \"quoted\" run\nwith a \\ and a line";
  machine.measured_device = "Device \"X\"";
  machine.measured_spread = 0.25;
  machine.gpu.host_memory_traffic = {12.345678e9};
  machine.host.compute.fixed = {7'000'000};
  machine.host.compute.formats["fp32"] = {0.5, 0.25};
  machine.h2d.table = {{{4096}, {1.23456e9}}, {{1 << 20}, {2.5e10}}};
  machine.kernel_times = {
      {{"experts", "fp32", {98304, 49152, 0}}, {{1, {12'345'678}}, {2, {23'000'000}}}, {1'500'000}},
      {{"head", "bf16", {64, 100}}, {{1, {5'000'000}}}, {}}};
  const std::string text = to_toml(machine, {{"gpu.memory", "a test"}}, {"a comment"});
  const MachineSpec read = parse_machine_toml(text, "written.toml");
  EXPECT_EQ(read.calibration, "measured");
  EXPECT_EQ(read.calibration_source, "a \"quoted\" runwith a \\ and a line");
  EXPECT_EQ(read.measured_device, machine.measured_device);
  EXPECT_EQ(read.measured_spread, 0.25);
  EXPECT_EQ(read.gpu.memory, machine.gpu.memory);
  EXPECT_NEAR(read.gpu.host_memory_traffic.value, 12.345678e9, 1e5);
  EXPECT_NEAR(read.gpu.rates.at("fp32").value, machine.gpu.rates.at("fp32").value, 1e8);
  EXPECT_EQ(read.gpu.grouped_gemm_tile_rows, machine.gpu.grouped_gemm_tile_rows);
  expect_near(read.host.compute.fixed, {7'000'000});
  EXPECT_EQ(read.host.compute.formats.at("fp32").bandwidth, 0.5);
  EXPECT_EQ(read.host.compute.formats.at("fp32").compute, 0.25);
  expect_near(read.overhead.gate_readback, machine.overhead.gate_readback);
  expect_near(read.h2d.per_copy, machine.h2d.per_copy);
  ASSERT_EQ(read.h2d.table.size(), 2U);
  EXPECT_EQ(read.h2d.table[1].size.count, 1 << 20);
  EXPECT_NEAR(read.h2d.table[0].rate.value, 1.23456e9, 1e4);
  ASSERT_EQ(read.kernel_times.size(), 2U);
  EXPECT_TRUE(read.kernel_times[0].key == machine.kernel_times[0].key);
  EXPECT_TRUE(read.kernel_times[1].key == machine.kernel_times[1].key);
  expect_near(read.kernel_times[0].points[1].time, {23'000'000});
  expect_near(read.kernel_times[0].fixed, {1'500'000});
  EXPECT_EQ(read.kernel_times[1].fixed.count, 0);
}

TEST(MachineToml, RefusesWhatIsNoTableOfTimes) {
  const std::string good = to_toml(load_machine("t4-pcie3"), {}, {});
  const auto with = [&](const std::string& table) { return parse_machine_toml(good + table, "test.toml"); };
  const std::string head = "\n[[kernel_times]]\noperation = \"gate\"\nprecision = \"fp32\"\nwork = [1, 2]\n";
  EXPECT_NO_THROW(with(head + "points = [{tokens = 1, time = \"1 us\"}]\n"));
  EXPECT_THROW(with(head), InputError);
  EXPECT_THROW(with(head + "points = []\n"), InputError);
  EXPECT_THROW(with(head + "points = [{tokens = 0, time = \"1 us\"}]\n"), InputError);
  EXPECT_THROW(with(head + "points = [{tokens = 1, time = \"-1 us\"}]\n"), InputError);
  EXPECT_THROW(with(head + "points = [{tokens = 1, time = \"1 us\"}, {tokens = 1, time = \"2 us\"}]\n"),
               InputError);
  EXPECT_THROW(with(head + "points = [{tokens = 1, activated_experts = 3, time = \"1 us\"}]\n"), InputError);
  EXPECT_THROW(
      with("\n[[kernel_times]]\noperation = \"gates\"\nprecision = \"fp32\"\nwork = [1]\npoints = []\n"),
      InputError);
  EXPECT_THROW(with("\n[[kernel_times]]\noperation = \"gate\"\nprecision = \"fp32\"\nwork = [-1]\n"
                    "points = [{tokens = 1, time = \"1 us\"}]\n"),
               InputError);
}

// The times that the simulator then uses are the table's, at its points and between them.
TEST(KernelTimes, ReplaceTheRoofline) {
  const ModelSpec model = test::tiny_model(2, 8, 2);
  MachineSpec machine = test::tiny_machine();
  const LayerProfile layer = model.profile(model.stacks[0])[0];
  machine.kernel_times = {
      {kernel_key("experts", model, layer), {{1, {3'000'000}}, {4, {9'000'000}}}, {1'000'000}},
      {kernel_key("attention", model, layer), {{1, {3'000'000}}}, {}},
      {kernel_key("gate", model, layer), {{1, {2'000'000}}}, {}},
      {kernel_key("head", model, {}), {{1, {1'000'000}}}, {}}};
  sim::CostModel costs(model, machine, load_policy("on-demand"), {.attention_scores = false});
  costs.begin_step({.model_stack = 0, .phase = trace::Phase::decode, .tokens = 1});
  EXPECT_EQ(costs.layer(0).attention.count, 3'000'000);
  EXPECT_EQ(costs.layer(0).gate.count, 2'000'000);
  EXPECT_EQ(costs.head().count, 1'000'000);
  const std::uint32_t ones[] = {1, 1};
  EXPECT_EQ(costs.experts(0, ones, 2, 1, true).count, 7'000'000);
  // Each expert by its own tokens, whatever the step's: fixed + time(1) + time(3), then time(1) + time(5000).
  const std::uint32_t unlike[] = {1, 3};
  EXPECT_EQ(costs.experts(0, unlike, 4, 2, true).count, 1'000'000 + 3'000'000 + 7'000'000);
  const std::uint32_t many[] = {1, 5000};
  EXPECT_EQ(costs.experts(0, many, 5001, 2501, true).count,
            1'000'000 + 3'000'000 + 9'000'000 + std::int64_t{4996} * 2'000'000);
  // Another model's layers are not what was measured.
  ModelSpec wider = model;
  wider.stacks[0].feed_forwards[0].moe.ffn_dim *= 2;
  sim::CostModel others(wider, machine, load_policy("on-demand"));
  others.begin_step({.model_stack = 0, .phase = trace::Phase::decode, .tokens = 1});
  EXPECT_NE(others.experts(0, ones, 2, 1, true).count, 7'000'000);
}

// A kernel of 8 GB/s for 10 us and a copy of 8 GB/s on a bus of 10 GB/s: each gets 5 until one is done.
TEST(Interference, KernelsAndCopiesShareTheBus) {
  MachineSpec machine = load_machine("rtx4090-pcie4");
  machine.host.memory_bandwidth = {10e9};
  machine.gpu.host_memory_traffic = {8e9};
  const sim::Topology topology = sim::topology_of(machine);
  sim::Ledger ledger(topology, 0, {8e9});
  ledger.begin_step(0, 0, 1);
  sim::EventEngine engine(topology.platform);
  const sim::OpId kernel =
      engine.submit(ledger.add({.kind = sim::OpKind::experts, .stream = sim::one_gpu::compute},
                               sim::Price{{10'000'000}}, {}, {}),
                    {});
  const sim::CopyCost copy{{}, {40'000}, {8e9}, {5'000'000}};
  const sim::OpId fetch =
      engine.submit(ledger.add({.kind = sim::OpKind::fetch,
                                .stream = sim::one_gpu::h2d,
                                .crosses = bit(sim::one_gpu::link_h2d) | bit(sim::one_gpu::host_memory)},
                               sim::Price{copy.duration, &copy}, {}, {}),
                    {});
  engine.run();
  // The copy: 40,000 B at 5 GB/s. The kernel: 80,000 B, of which 40,000 in those 8 us, the rest at 8 GB/s.
  EXPECT_EQ(engine.finish(fetch).count, 8'000'000);
  EXPECT_EQ(engine.finish(kernel).count, 13'000'000);
}

// A whole calibration in a second or two: the file reads back, holds every point, and the simulator accepts
// it.
TEST(Calibrate, MeasuresTheHostDevice) {
  const ModelSpec model = test::tiny_model(2, 8, 2);
  const auto device = runtime::open_device("host", {.memory = {std::int64_t{64} << 20}});
  const Calibration calibration = calibrate(*device, model, {.seconds = 1, .most_tokens = 4});
  const MachineSpec machine =
      parse_machine_toml(to_toml(calibration.machine, calibration.sources, {}), "calibrated.toml");
  EXPECT_EQ(machine.measured_device, device->info().name);
  EXPECT_EQ(machine.calibration, "measured");
  // What prices nothing; and, where copies were measured out of order, a line a direction.
  EXPECT_GE(calibration.findings.size(), 2U);
  EXPECT_LE(calibration.findings.size(), 4U);
  const LayerProfile layer = model.profile(model.stacks[0])[0];
  for (const char* operation : {"attention", "gate", "experts"})
    EXPECT_NE(find_kernel_times(machine.kernel_times, kernel_key(operation, model, layer)), nullptr)
        << operation;
  // 1, 2 and 4 tokens with 2; 2, 4; 2, 4 and 8 experts: 1, 2 or 4 tokens each.
  EXPECT_EQ(find_kernel_times(machine.kernel_times, kernel_key("experts", model, layer))->points.size(), 3U);
  EXPECT_GT(machine.h2d.bandwidth.value, 1e8);
  test::ListSource source = test::random_source(3, 2, 8, 2, 1, 0, 4);
  EXPECT_GT(test::run(model, machine, load_policy("pre-gated"), source).total.count, 0);
}

// A second format of experts: its times beside those of the model's own, and nothing else twice.
TEST(Calibrate, MeasuresExpertsInASecondFormat) {
  ModelSpec model = test::tiny_model(2, 8, 2);
  model.d_model = 64;  // whole blocks
  model.stacks[0].feed_forwards[0].moe.ffn_dim = 64;
  const auto device = runtime::open_device("host", {.memory = {std::int64_t{64} << 20}});
  const MachineSpec machine =
      calibrate(*device, model, {.seconds = 1, .most_tokens = 2, .low_formats = {"q8_0"}}).machine;
  ModelSpec low = model;
  store_experts_as(low, "q8_0", "test");
  EXPECT_TRUE(has_expert_times(machine.kernel_times, model));
  EXPECT_TRUE(has_expert_times(machine.kernel_times, low));
  store_experts_as(low, "q4_k", "test");
  EXPECT_FALSE(has_expert_times(machine.kernel_times, low));
  std::set<std::pair<std::string, std::string>> keys;
  for (const KernelTimes& times : machine.kernel_times)
    EXPECT_TRUE(keys.emplace(times.key.operation, times.key.precision).second) << times.key.operation;
}

// The ladder on the machine as measured: tier 0 must hold whatever the noise; a link twice as fast must fail.
TEST(Ladder, ClimbsOnTheHostDeviceAndSeesAWrongMachine) {
  ModelSpec model = test::tiny_model(2, 8, 2);
  model.stacks[0].feed_forwards[0].moe.ffn_dim = 4096;  // 3 MiB an expert: copies dominate
  const auto device = runtime::open_device("host", {.memory = {std::int64_t{512} << 20}});
  MachineSpec machine = calibrate(*device, model, {.seconds = 3, .most_tokens = 2}).machine;
  test::ListSource source = test::random_source(3, 2, 8, 2, 1, 0, 12);
  std::vector<GridPoint> grid;
  for (const char* policy : {"gpu-only", "on-demand", "pre-gated"})
    grid.push_back({policy, "batch 1", load_policy(policy), &source});
  const LadderResult result = climb(*device, model, machine, grid, {.repeats = 2, .most_tokens = 4});
  EXPECT_EQ(result.tiers[0].verdict, Verdict::passed);
  EXPECT_EQ(result.exact.size(), 3U);
  EXPECT_EQ(result.timelines.size(), 3U);
  // A fetch for each miss, by count what the schedules say; measured in all repeats.
  const auto fetches = std::find_if(result.operations.begin(), result.operations.end(),
                                    [](const OperationRow& row) { return row.kind == "fetch"; });
  ASSERT_NE(fetches, result.operations.end());
  EXPECT_EQ(fetches->what, "on-demand");
  EXPECT_EQ(fetches->count, 12 * 2 * 2);  // passes, layers, top-k
  EXPECT_GT(fetches->measured_us, 0);

  // Four times as fast: beyond anything that noise explains.
  for (CopyPoint& point : machine.h2d.table) point.rate.value *= 4;
  machine.h2d.bandwidth.value *= 4;
  machine.host.memory_bandwidth.value *= 8;
  machine.measured_device = "another device";
  const LadderResult wrong = climb(*device, model, machine, grid, {.repeats = 2, .most_tokens = 4});
  EXPECT_EQ(wrong.tiers[0].verdict, Verdict::passed);
  EXPECT_NE(wrong.tiers[1].verdict, Verdict::passed);
  EXPECT_NE(wrong.notes.back().find("another device"), std::string::npos);
}

}  // namespace
}  // namespace pregate::validation
