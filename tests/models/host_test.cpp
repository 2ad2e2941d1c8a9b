// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Hosts apart from GPUs: the catalogue's, a user's file, and what they replace in a machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include <unistd.h>

#include "models/catalog.hpp"
#include "tests/models/error_of.hpp"

namespace pregate {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;

constexpr const char* some_host =
    "source = \"mine\"\n[host]\ncpu = \"c\"\ncores = 4\nmemory = \"16 GiB\"\nmemory_bandwidth = \"20 GB/s\"\n"
    "rate = \"100 GFLOP/s\"\n";

class HostFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return path_;
  }
  void TearDown() override { std::remove(path_.c_str()); }

 private:
  std::string path_ = testing::TempDir() + "/pregate_host_" + std::to_string(::getpid()) + ".toml";
};

TEST(Host, EveryOneOfTheCatalogueLoadsAndSaysWhereItComesFrom) {
  EXPECT_THAT(host_names(), IsSupersetOf({"desktop-ddr4-3200", "desktop-ddr5-5600", "threadripper-ddr5-5200",
                                          "epyc-8ch-ddr4-3200", "epyc-12ch-ddr5-4800", "xeon-2s-ddr4-2933",
                                          "xeon-2s-ddr5-4800"}));
  for (const std::string& name : host_names()) {
    const HostDescription description = load_host(name);
    EXPECT_EQ(description.name, name);
    EXPECT_FALSE(description.description.empty()) << name;
    EXPECT_FALSE(description.source.empty()) << name;
    EXPECT_THAT(description.host.source, AllOf(HasSubstr("nominal"), HasSubstr("FLOP a cycle"))) << name;
    // What is achieved lies below what the channels carry.
    const std::size_t at = description.host.source.find(" GB/s nominal");
    ASSERT_NE(at, std::string::npos) << name;
    const std::size_t begin = description.host.source.rfind(' ', at - 1) + 1;
    const double nominal = std::stod(description.host.source.substr(begin, at - begin)) * 1e9;
    EXPECT_LE(description.host.memory_bandwidth.value, 0.76 * nominal) << name;
    EXPECT_GE(description.host.memory_bandwidth.value, 0.55 * nominal) << name;
  }
}

TEST(Host, TakesThePlaceOfTheMachinesOwn) {
  const MachineSpec own = load_machine("rtx3060-pcie4");
  const HostDescription host = load_host("epyc-12ch-ddr5-4800");
  const MachineSpec machine = load_machine("rtx3060-pcie4", {}, "epyc-12ch-ddr5-4800");
  EXPECT_TRUE(own.replaced_host.empty());
  EXPECT_THAT(own.host.source, HasSubstr("DDR4-3200"));
  EXPECT_EQ(machine.name, "rtx3060-pcie4");
  EXPECT_EQ(machine.replaced_host, "epyc-12ch-ddr5-4800");
  EXPECT_EQ(machine.host.cpu, host.host.cpu);
  EXPECT_EQ(machine.host.cores, 96);
  EXPECT_EQ(machine.host.memory, host.host.memory);
  EXPECT_EQ(machine.host.memory_bandwidth, host.host.memory_bandwidth);
  EXPECT_EQ(machine.host.source, host.host.source);
  EXPECT_EQ(machine.gpu.memory, own.gpu.memory);
  EXPECT_EQ(machine.h2d.bandwidth, own.h2d.bandwidth);
  EXPECT_EQ(machine.ssd.read_bandwidth, own.ssd.read_bandwidth) << "the host file has no drive";
}

// What its cores read is said where that is less than the memory gives, or near it.
TEST(Host, SaysWhatItsCoresReadAndHowItsRateIsCounted) {
  const HostSpec mesh = load_host("workstation-ddr4-3200").host;
  EXPECT_LT(mesh.core_bandwidth.value * mesh.cores, mesh.memory_bandwidth.value);
  const HostSpec plain = load_host("desktop-ddr4-3200").host;
  EXPECT_EQ(plain.core_bandwidth.value, 0);
  EXPECT_EQ(plain.narrow_rate().value, plain.rate.value);
  for (const std::string& name : host_names()) {
    const HostSpec host = load_host(name).host;
    const bool wide = host.source.find("x 64 fp32 FLOP a cycle") != std::string::npos;
    EXPECT_EQ(host.flop_per_cycle, wide ? 64 : 32) << name;
    EXPECT_DOUBLE_EQ(host.narrow_rate().value, host.rate.value / (wide ? 2 : 1)) << name;
  }
}

TEST(Host, SettingsComeAfterIt) {
  const std::vector<Override> set = {{"machine.host.memory_bandwidth", "99 GB/s"},
                                     {"machine.host.compute.fixed", "5 us"}};
  const MachineSpec machine = load_machine("rtx3060-pcie4", set, "desktop-ddr5-5600");
  EXPECT_DOUBLE_EQ(machine.host.memory_bandwidth.value, 99e9);
  EXPECT_EQ(machine.host.compute.fixed.count, 5'000'000);
  EXPECT_EQ(machine.host.cores, 16);
}

// Nothing of the old host stays, nor do the sources that spoke of it: what was measured of its CPU is not
// true of another.
TEST_F(HostFile, LeavesNothingOfTheOldOneBehind) {
  const std::string machine_text =
      "extends = \"rtx3060-pcie4\"\n[host.compute]\nbandwidth_efficiency = 0.5\n[sources]\n"
      "\"host.compute.bandwidth_efficiency\" = \"guess\"\n";
  const std::string machine_path = testing::TempDir() + "/pregate_m_" + std::to_string(::getpid()) + ".toml";
  std::ofstream(machine_path) << machine_text;
  const std::string host =
      write(std::string(some_host) +
            "[ssd]\ncapacity = \"1 TB\"\nread_bandwidth = \"3 GB/s\"\nlatency = \"9 us\"\n"
            "[sources]\n\"ssd\" = \"s\"\n\"host.cores\" = \"c\"\n");
  EXPECT_EQ(load_machine(machine_path).host.compute.bandwidth_efficiency, 0.5);
  const MachineSpec machine = load_machine(machine_path, {}, host);
  EXPECT_EQ(machine.host.compute.bandwidth_efficiency, HostComputeSpec{}.bandwidth_efficiency);
  EXPECT_DOUBLE_EQ(machine.ssd.read_bandwidth.value, 3e9);
  EXPECT_EQ(machine.host.source, "mine") << "no source of the whole table: the file's own";
  std::remove(machine_path.c_str());
}

TEST_F(HostFile, IsReadStrictly) {
  const auto refused = [&](const std::string& text) {
    const std::string path = write(text);
    return error_of([&] { load_machine("rtx3060-pcie4", {}, path); });
  };
  EXPECT_THAT(error_of([] { load_machine("rtx3060-pcie4", {}, "desktop-ddr4"); }),
              AllOf(HasSubstr("no host named 'desktop-ddr4'"), HasSubstr("'desktop-ddr4-3200'"),
                    HasSubstr("(pregate list hosts)")));
  EXPECT_THAT(refused(std::string(some_host) + "bandwidth = \"1 GB/s\"\n"),
              AllOf(HasSubstr("pregate_host_"), HasSubstr("unknown key"), HasSubstr("memory_bandwidth")));
  EXPECT_THAT(refused("extends = \"desktop-ddr4-3200\"\n" + std::string(some_host)),
              HasSubstr("unknown key 'extends'"));
  EXPECT_THAT(refused(""), HasSubstr("the key 'host' is missing"));
  std::string zero = some_host;
  zero.replace(zero.find("20 GB/s"), 7, "20 kB/s");
  EXPECT_THAT(refused(zero), AllOf(HasSubstr("pregate_host_"), HasSubstr("host.memory_bandwidth")));
  EXPECT_THAT(refused(std::string(some_host) + "core_bandwidth = \"9\"\n"), HasSubstr("core_bandwidth"));
  EXPECT_THAT(refused(std::string(some_host) + "flop_per_cycle = 0\n"), HasSubstr("flop_per_cycle"));
  EXPECT_THAT(refused("[gpu]\nname = \"x\"\n" + std::string(some_host)),
              AllOf(HasSubstr("describes a machine"), HasSubstr("--machine")));
  EXPECT_THAT(refused(std::string(some_host) + "[sources]\n\"host.core\" = \"x\"\n"),
              HasSubstr("there is no key 'host.core'"));
  EXPECT_THAT(error_of([] { load_machine("gb10-unified", {}, "desktop-ddr4-3200"); }),
              AllOf(HasSubstr("--host"), HasSubstr("share one memory")));
}

}  // namespace
}  // namespace pregate
