// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A device that computes experts beside the memory that holds them (MoNDE, arXiv:2405.18832).
#include <gtest/gtest.h>

#include "sim/platform/machine_topology.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

/// The link brings an expert in 16 us, the device computes one in 1: 32 against 512 GB/s.
struct MondeTimes final : Estimates {
  [[nodiscard]] Picoseconds fetch() const override { return {16 * us}; }
  [[nodiscard]] Picoseconds on_cpu(int, std::int64_t, std::uint32_t) const override { return {}; }
  [[nodiscard]] Picoseconds near_data(int, std::int64_t experts, std::uint32_t) const override {
    return {experts * us};
  }
  [[nodiscard]] Picoseconds on_gpu(int, std::uint32_t) const override { return {}; }
};

std::size_t copied(const std::string& service, std::size_t missing) {
  MachineSpec machine = test::tiny_machine();
  machine.near_data.memory = {1LL << 40};
  const Topology topology = topology_of(machine, StreamOrder::fifo);
  const MondeTimes times;
  Moment moment;
  moment.estimates = &times;
  moment.topology = &topology;
  std::vector<ExpertKey> keys(missing);
  std::vector<std::uint32_t> tokens(missing);
  for (std::size_t i = 0; i < missing; ++i) {
    keys[i] = static_cast<ExpertKey>(i);
    tokens[i] = static_cast<std::uint32_t>(i) + 1;  // the last ones are the hottest
  }
  std::vector<Serving> of_each(missing);
  const Chosen<MissServiceEntry> chosen = built_in_parts().miss_services.find(service, "test");
  chosen->make(chosen.parameters())->decide(moment, {keys, tokens, {}, {}}, of_each);
  std::size_t count = 0;
  for (std::size_t i = 0; i < missing; ++i) {
    if (of_each[i].service == Service::fetch) ++count;
    if (i > 0 && of_each[i - 1].service == Service::fetch) {
      EXPECT_EQ(of_each[i].service, Service::fetch) << "a hotter one";
    }
  }
  return count;
}

// H = ceil(32 / 544 A): 4 of 64, 6 of 100, 8 of 128. The optimum is argmin of max(16 H, A - H): 3 (61 against
// 64), 5 (95 against 96), 7 (121 against 128).
TEST(NearData, SplitsAsMoNDE) {
  EXPECT_EQ(copied("near-data", 64), 4U);
  EXPECT_EQ(copied("near-data", 100), 6U);
  EXPECT_EQ(copied("near-data", 128), 8U);
  EXPECT_EQ(copied("near-data-optimal", 64), 3U);
  EXPECT_EQ(copied("near-data-optimal", 100), 5U);
  EXPECT_EQ(copied("near-data-optimal", 128), 7U);
  EXPECT_EQ(copied("near-data", 0), 0U);
}

/// 128 equal experts a layer, a link of 32 and a device of 512 GB/s, and nothing else that takes time.
struct Monde : testing::Test {
  ModelSpec model = test::tiny_model(1, 128, 128);
  MachineSpec machine = test::tiny_machine();
  test::ListSource source{test::decoder_info(1, 128, 128)};

  Monde() {
    std::vector<std::uint16_t> all(128);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
    source.add(trace::Phase::decode, 1, all, true);
    machine.h2d = {
        .bandwidth = {32e6}, .latency = {}, .per_copy = {}, .pageable_bandwidth = {32e6}, .table = {}};
    machine.near_data.memory = {1LL << 40};
    machine.near_data.memory_bandwidth = {512e6};
    machine.near_data.rate = {1e18};
    machine.near_data.link = {.bandwidth = {1e15}, .latency = {}, .per_copy = {}};
  }
  /// From the ids to the last of both, in units of an expert's bytes / (1 MB/s).
  double layer(const std::string& service) {
    PolicySpec policy = load_policy("on-demand");
    choose(policy.miss.service, built_in_parts().miss_services, service);
    const SimulationResult result = recorded(model, policy, source, machine);
    Picoseconds ids, last;
    for (std::size_t i = 0; i < result.schedule.size(); ++i) {
      const OpKind kind = result.schedule.operation(static_cast<OpId>(i)).kind;
      if (kind == OpKind::gate_readback) ids = result.timeline.finish[i];
      if (kind == OpKind::fetch || kind == OpKind::cpu_experts)
        last = std::max(last, result.timeline.finish[i]);
    }
    return (last - ids).seconds() / (static_cast<double>(test::tiny_expert.count) / 1e6);
  }
};

// Copying all takes 128 / 32 of an expert's bytes, the rule max(8 / 32, 120 / 512), the optimum
// max(7 / 32, 121 / 512): ratios 16 and 1.06, within 1 %.
TEST_F(Monde, TakesWhatTheFormulaSays) {
  const double all = layer("fetch"), rule = layer("near-data"), optimum = layer("near-data-optimal");
  EXPECT_NEAR(all, 4, .04);
  EXPECT_NEAR(rule, .25, .0025);
  EXPECT_NEAR(optimum, .2363, .0024);
  EXPECT_NEAR(all / rule, 16.0, .16);
  EXPECT_NEAR(rule / optimum, 1.06, .0106);
}

// A link of 1000 TB/s brings activations no faster than the memory behind it takes them, at issue as by
// events.
TEST_F(Monde, ActivationsComeNoFasterThanItsMemoryTakesThem) {
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "near-data");
  const auto total = [&](Engine engine) {
    return test::run(model, machine, policy, source, {.engine = engine}).total;
  };
  EXPECT_EQ(total(Engine::timed), total(Engine::event));
}

TEST_F(Monde, NeedsTheDeviceAndItsMemory) {
  PolicySpec policy = load_policy("on-demand");
  choose(policy.miss.service, built_in_parts().miss_services, "near-data");
  const SimulationResult result = test::run(model, machine, policy, source);
  EXPECT_EQ(result.decode_cache.near_data, 120);
  EXPECT_EQ(result.tally.fetches, 8);
  machine.near_data.memory = {1 << 20};
  const SimulationResult small = test::run(model, machine, policy, source);
  EXPECT_TRUE(small.out_of_memory);
  EXPECT_NE(small.out_of_memory_reason.find("near-data"), std::string::npos) << small.out_of_memory_reason;
  machine.near_data = {};
  EXPECT_THROW(test::run(model, machine, policy, source), InputError);
}

}  // namespace
}  // namespace pregate::sim
