// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

MachineSpec with(const std::vector<std::string>& settings) {
  std::vector<Override> changes;
  for (const std::string& setting : settings) changes.push_back(parse_override(setting));
  return load_machine("rtx4090-pcie4", changes);
}

TEST(Machine, LinkRatesAreEffectiveOnes) {
  const std::vector<std::pair<std::string, std::pair<double, double>>> ranges = {{"pcie3", {12e9, 13e9}},
                                                                                 {"pcie4", {24e9, 25e9}},
                                                                                 {"pcie5", {49e9, 58e9}},
                                                                                 {"c2c", {290e9, 400e9}},
                                                                                 {"unified", {100e9, 137e9}}};
  const std::vector<std::string> of_eight_lanes = {"rtx4060", "rtx5060", "rtxpro4000-sff", "rtxpro2000"};
  for (const std::string& name : machine_names()) {
    const MachineSpec machine = load_machine(name);
    if (machine.calibration != "datasheet") continue;
    bool matched = false;
    for (const auto& [part, range] : ranges) {
      if (name.find(part) == std::string::npos) continue;
      matched = true;
      const bool eight = std::any_of(of_eight_lanes.begin(), of_eight_lanes.end(),
                                     [&](const std::string& board) { return name.starts_with(board); });
      for (const LinkSpec& link : {machine.h2d, machine.d2h}) {
        EXPECT_GE(link.bandwidth.value, range.first / (eight ? 2 : 1)) << name;
        EXPECT_LE(link.bandwidth.value, range.second / (eight ? 2 : 1)) << name;
        EXPECT_LT(link.pageable_bandwidth, link.bandwidth) << name;
      }
    }
    EXPECT_TRUE(matched) << name << " does not say its link";
  }
}

// Copies cannot outrun the memories at either end; a device copy reads and writes, so half the bandwidth
// bounds it.
TEST(Machine, NumbersAreConsistentAmongThemselves) {
  for (const std::string& name : machine_names()) {
    const MachineSpec machine = load_machine(name);
    EXPECT_LE(machine.h2d.bandwidth, machine.host.memory_bandwidth) << name;
    EXPECT_LE(machine.gpu.device_copy_bandwidth.value, machine.gpu.memory_bandwidth.value / 2) << name;
    EXPECT_LT(machine.gpu.reserved.count, machine.gpu.memory.count / 4) << name;
    EXPECT_GE(compute_rate(machine.gpu, "fp16"), compute_rate(machine.gpu, "fp32")) << name;
    EXPECT_GE(compute_rate(machine.gpu, "fp8"), compute_rate(machine.gpu, "bf16")) << name;
  }
}

// The dense rates of a generation follow from its multiprocessors and clock: FLOP a cycle and multiprocessor
// as NVIDIA's whitepapers have them, fp16 accumulated in fp32 at half the rate on GeForce boards.
TEST(Machine, RatesOfABoardFollowFromItsMultiprocessors) {
  struct Board {
    const char* name;
    int sms;
    double boost_ghz, fp32, fp16, int8;
  };
  for (const Board& board : {Board{"rtx2080-pcie3", 46, 1.71, 128, 512, 2048},
                             {"rtx2080ti-pcie3", 68, 1.545, 128, 512, 2048},
                             {"rtx3060-pcie4", 28, 1.777, 256, 512, 2048},
                             {"rtx3090-pcie4", 82, 1.695, 256, 512, 2048},
                             {"rtx4060ti-pcie4", 34, 2.535, 256, 512, 2048},
                             {"rtx4090-pcie4", 128, 2.52, 256, 512, 2048},
                             {"rtx5080-pcie5", 84, 2.617, 256, 512, 2048},
                             {"rtx5090-pcie5", 170, 2.407, 256, 512, 2048},
                             {"a5000-pcie4", 64, 1.695, 256, 1024, 2048},
                             {"rtx6000ada-pcie4", 142, 2.505, 256, 1024, 2048},
                             {"l40s-pcie4", 142, 2.52, 256, 1024, 2048}}) {
    const GpuSpec gpu = load_machine(board.name).gpu;
    const double cycles = board.sms * board.boost_ghz * 1e9;
    EXPECT_EQ(gpu.sm_count, board.sms) << board.name;
    EXPECT_NEAR(gpu.rates.at("fp32").value / (cycles * board.fp32), 1, 0.01) << board.name;
    EXPECT_NEAR(gpu.rates.at("fp16").value / (cycles * board.fp16), 1, 0.015) << board.name;
    EXPECT_NEAR(gpu.rates.at("int8").value / (cycles * board.int8), 1, 0.01) << board.name;
  }
}

TEST(Machine, APrecisionTheGpuLacksRunsInAWiderOne) {
  const GpuSpec t4 = load_machine("t4-pcie3").gpu;
  EXPECT_DOUBLE_EQ(compute_rate(t4, "bf16").value, 65e12);  // fp16 stands in
  EXPECT_DOUBLE_EQ(compute_rate(t4, "tf32").value, 8.1e12);
  const GpuSpec a100 = load_machine("a100-80g-pcie4").gpu;
  EXPECT_DOUBLE_EQ(compute_rate(a100, "fp8").value, 312e12);
  EXPECT_DOUBLE_EQ(compute_rate(a100, "fp32").value, 19.5e12);
  EXPECT_THAT(error_of([&] { compute_rate(a100, "fp7"); }), HasSubstr("did you mean"));
}

TEST(Machine, OverridesWithUnits) {
  EXPECT_DOUBLE_EQ(with({"machine.link.h2d.bandwidth=50GB/s"}).h2d.bandwidth.value, 50e9);
  EXPECT_DOUBLE_EQ(with({"machine.link.h2d.bandwidth=23.3GiB/s"}).h2d.bandwidth.value, 23.3 * 1073741824.0);
  EXPECT_EQ(with({"machine.gpu.memory=12 GiB"}).gpu.memory.count, 12LL << 30);
  EXPECT_EQ(with({"machine.overhead.step=0 s"}).overhead.step.count, 0);
  EXPECT_EQ(with({"machine.gpu.sm_count=64"}).gpu.sm_count, 64);
  EXPECT_DOUBLE_EQ(with({"machine.gpu.rates.fp4=1 PFLOP/s"}).gpu.rates.at("fp4").value, 1e15);
  // Left to right: the last one holds; what is not named stays.
  const MachineSpec twice = with({"machine.gpu.memory=12 GiB", "machine.gpu.memory=16 GiB"});
  EXPECT_EQ(twice.gpu.memory.count, 16LL << 30);
  EXPECT_EQ(twice.h2d.bandwidth, load_machine("rtx4090-pcie4").h2d.bandwidth);
}

TEST(Machine, WrongOverridesNameTheOption) {
  const auto refused = [](const std::string& setting) { return error_of([&] { with({setting}); }); };
  EXPECT_THAT(refused("machine.link.h2d.bandwith=50GB/s"),
              AllOf(HasSubstr("--set machine.link.h2d.bandwith: unknown key"),
                    HasSubstr("did you mean 'bandwidth'?")));
  EXPECT_THAT(refused("machine.lnk.h2d.bandwidth=50GB/s"), HasSubstr("did you mean 'link'?"));
  EXPECT_THAT(refused("machine.link.h2d.bandwidth=50"), AllOf(HasSubstr("has no unit"), HasSubstr("GiB/s")));
  EXPECT_THAT(refused("machine.link.h2d.bandwidth=50us"), HasSubstr("is a duration, not a transfer rate"));
  EXPECT_THAT(refused("machine.link.h2d=50GB/s"), HasSubstr("not a table"));
  EXPECT_THAT(refused("machine.link.h2d.bandwidth=1 B/s"), HasSubstr("link.h2d.bandwidth"));
  EXPECT_THAT(refused("machine.gpu.memory_efficiency=1.5"), HasSubstr("at most 1"));
  EXPECT_THAT(refused("machine.gpu.memory_efficiency=nan"), HasSubstr("finite"));
  EXPECT_THAT(refused("machine.gpu.memory=0 B"), HasSubstr("gpu.memory"));
  EXPECT_THAT(refused("machine.gpu.reserved=24 GiB"), HasSubstr("leaves nothing"));
  EXPECT_THAT(refused("machine.overhead.step=1e5 s"), HasSubstr("overhead.step"));
  EXPECT_THAT(refused("machine.gpu..memory=1 GiB"), HasSubstr("not a path of keys"));
  EXPECT_THAT(error_of([] { parse_override("machine.gpu.memory"); }), HasSubstr("has no '='"));
  EXPECT_THAT(error_of([] { parse_override("machin.gpu.memory=1"); }), HasSubstr("did you mean 'machine'?"));
  EXPECT_THAT(error_of([] { parse_override("machine.=1"); }), HasSubstr("does not start with"));
  EXPECT_THAT(error_of([] { parse_override("machin.gpu=1", "--vary"); }), HasSubstr("--vary: 'machin.gpu'"));
}

TEST(Machine, ACalibratedOneStatesOnlyWhatDiffers) {
  const MachineSpec machine = parse_machine_toml(R"(
extends = "rtx4090-pcie4"
calibration = "measured"
calibration_source = "run of a test"
[link.h2d]
table = [ { size = "1 MB", rate = "18.0 GB/s" }, { size = "10 MB", rate = "19.4 GB/s" } ]
[[expert_kernel_table]]
tokens = 4
activated_experts = 8
time = "60 us"
[[expert_kernel_table]]
tokens = 1
activated_experts = 8
time = "40 us"
)",
                                                 "mine.toml");
  const MachineSpec base = load_machine("rtx4090-pcie4");
  EXPECT_EQ(machine.name, "mine");
  EXPECT_EQ(machine.gpu.memory, base.gpu.memory);
  EXPECT_EQ(machine.h2d.bandwidth, base.h2d.bandwidth);
  ASSERT_EQ(machine.h2d.table.size(), 2U);
  EXPECT_EQ(machine.h2d.table[1].size.count, 10'000'000);
  EXPECT_TRUE(machine.d2h.table.empty());
  ASSERT_EQ(machine.expert_kernel_table.size(), 2U);  // sorted, in whatever order it is written
  EXPECT_EQ(machine.expert_kernel_table[0].time.count, 40'000'000);
  EXPECT_EQ(machine.expert_kernel_table[1].time.count, 60'000'000);

  const auto refused = [](const std::string& rest) {
    return error_of([&] { parse_machine_toml("extends = \"rtx4090-pcie4\"\n" + rest, "mine.toml"); });
  };
  EXPECT_THAT(refused("calibration = \"fitted\""), HasSubstr("calibration_source is missing"));
  EXPECT_THAT(refused("calibration = \"guessed\""), HasSubstr("valid: datasheet, fitted, measured"));
  EXPECT_THAT(refused("link.h2d.table = [{size=\"2 MB\",rate=\"1 GB/s\"},{size=\"2 MB\",rate=\"1 GB/s\"}]"),
              HasSubstr("sizes must increase"));
  EXPECT_THAT(refused("link.h2d.table = [{size=\"2 MB\",speed=\"1 GB/s\"}]"), HasSubstr("mine.toml:2"));
  EXPECT_THAT(refused("link.h2d.table = [3]"), HasSubstr("not a table"));
  EXPECT_THAT(refused("sources = { \"gpu.memry\" = \"x\" }"), HasSubstr("there is no key 'gpu.memry'"));
  EXPECT_THAT(error_of([] { parse_machine_toml("extends = \"rtx4090\"", "m.toml"); }),
              HasSubstr("did you mean 'rtx4090-pcie4'"));
  EXPECT_THAT(error_of([] { parse_machine_toml("", "m.toml"); }),
              HasSubstr("m.toml: the key 'gpu' is missing"));
}

TEST(Machine, ValidateRefusesWhatIsNotFinite) {
  MachineSpec machine = load_machine("rtx4090-pcie4");
  machine.h2d.bandwidth.value = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error_of([&] { validate(machine, "m"); }), HasSubstr("m: link.h2d.bandwidth"));
  machine = load_machine("rtx4090-pcie4");
  machine.gpu.rates["fp16"].value = std::numeric_limits<double>::infinity();
  EXPECT_THAT(error_of([&] { validate(machine, "m"); }), HasSubstr("gpu.rates.fp16"));
  machine = load_machine("rtx4090-pcie4");
  machine.overhead.gate.count = -1;
  EXPECT_THAT(error_of([&] { validate(machine, "m"); }), HasSubstr("overhead.gate"));
}

}  // namespace
}  // namespace pregate
