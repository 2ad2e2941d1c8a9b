// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// A pool of experts in the host's memory with a drive behind it. Defined here, in one file.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "sim/engine/event_executor.hpp"
#include "sim/engine/stream_clock.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/run/drive.hpp"
#include "sim/run/layer_run.hpp"
#include "tests/sim/recorded_run.hpp"

namespace pregate::sim {
namespace {

/// So many experts, of which the least recently used ones leave.
class LruTier final : public HostTier {
 public:
  explicit LruTier(std::size_t most) : most_(most) {}
  std::span<const ExpertKey> access(int, std::span<const ExpertKey> keys) override {
    absent_.clear();
    for (const ExpertKey key : keys) {
      if (std::erase(held_, key) == 0) absent_.push_back(key);
    }
    held_.insert(held_.end(), keys.begin(), keys.end());
    while (held_.size() > most_) held_.pop_front();
    return absent_;
  }
  [[nodiscard]] bool holds(ExpertKey key) const override {
    return std::find(held_.begin(), held_.end(), key) != held_.end();
  }

 private:
  std::size_t most_;
  std::deque<ExpertKey> held_;
  std::vector<ExpertKey> absent_;
};

struct DrivePool : testing::Test {
  ModelSpec model = test::tiny_model(1, 8, 2);
  MachineSpec machine = test::tiny_machine();
  PolicySpec policy = load_policy("on-demand");
  test::ListSource source{test::decoder_info(1, 8, 2)};

  DrivePool() {
    machine.ssd = {.capacity = {1LL << 40}, .read_bandwidth = {0.5e9}, .latency = Picoseconds{80 * us}};
    for (const auto& experts : {std::vector<std::uint16_t>{0, 1}, {1, 2}, {0, 1}, {0, 1}})
      source.add(trace::Phase::decode, 1, experts, source.info().steps == 0);
  }

  /// On both executors, with a pool of so many experts; 0: no drive.
  SimulationResult run(std::size_t most) {
    const SimulationResult a = run_on(most, Engine::timed), b = run_on(most, Engine::event);
    EXPECT_EQ(a.total, b.total);
    EXPECT_EQ(a.tally.busy, b.tally.busy);
    EXPECT_EQ(a.tally.exposed_transfer, b.tally.exposed_transfer);
    EXPECT_EQ(a.tally.fetched, b.tally.fetched);
    return a;
  }

 private:
  SimulationResult run_on(std::size_t most, Engine engine) {
    const PreparedTrace prepared(source, model, "test");
    CostModel costs(model, machine, policy);
    SimulationResult result;
    result.topology = topology_of(machine);
    std::optional<Plan> plan =
        plan_run(model, memory_limits(machine), policy, prepared, source, CountedExperts::all, result);
    if (most > 0) plan->make_host_tier = [most] { return std::make_unique<LruTier>(most); };
    const auto drive = [&](Executor& executor) {
      LayerRun runner(result.topology, prepared.map(), *plan, work_shape(costs), nullptr, executor);
      drive_trace(model, prepared, *plan, layer_class_of(costs), source, {}, runner, result);
    };
    if (engine == Engine::timed) {
      StreamClock clock(result.topology, costs);
      drive(clock);
    } else {
      EventExecutor executor(result.topology, costs, prepared.map(), 0);
      drive(executor);
    }
    return result;
  }
};

// A read takes r = 80 us + 98,304 B at 0.5 GB/s = 276.608 us, a copy c = 108.304 us, and the copy of one
// expert runs beside the read of the next, but not before the copy that was asked for first. Two experts of a
// step of which both are read: 2 r + c until both are there; the second one read: r + c; the first one: r + 2
// c; none: 2 c. A pool of two reads 0 and 1, then 2 in place of 0, then 0 in place of 2, and at last none.
TEST_F(DrivePool, ReadsWhatItLacksBesideCopies) {
  const Picoseconds read = Picoseconds{80 * us} + time_at(test::tiny_expert, {0.5e9}), copy = copy_time();
  const SimulationResult none = run(0), two = run(2), all = run(8);
  const std::size_t drive = number_of(none.topology.platform.stream_named("ssd").value());
  EXPECT_EQ(none.tally.exposed_transfer, copy * 8);
  EXPECT_EQ(none.tally.busy[drive].count, 0);

  EXPECT_EQ(two.tally.busy[drive], read * 4);
  EXPECT_EQ(two.tally.exposed_transfer, (read * 2 + copy) + (read + copy) + (read + copy * 2) + copy * 2);

  EXPECT_EQ(all.tally.busy[drive], read * 3);
  EXPECT_EQ(all.tally.exposed_transfer, read * 2 + copy + (read + copy) + copy * 4);
  EXPECT_EQ(all.tally.fetched, none.tally.fetched) << "the link carries what it carried";
}

// Reads must take time: a machine that names no drive has nothing behind the host's memory.
TEST_F(DrivePool, NeedsADrive) {
  machine.ssd = {};
  EXPECT_NO_THROW(run(0));
  EXPECT_THROW(run(2), std::out_of_range);
}

}  // namespace
}  // namespace pregate::sim
