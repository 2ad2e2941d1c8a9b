// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/collectives.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "sim/cost/collective_model.hpp"
#include "sim/cost/expert_exchange.hpp"

namespace pregate::sim {
namespace {

/// Four GPUs in each host that nothing was measured on; link.peer of 10 GB/s and 1 us a message.
MachineSpec four_gpus() {
  MachineSpec machine = load_machine("t4-pcie3");
  machine.gpu.count = 4;
  machine.peer = {{10e9}, {600'000}, {400'000}};
  return machine;
}

MachineSpec measured(const char* name, int gpus) {
  MachineSpec machine = load_machine(name);
  machine.gpu.count = gpus;
  return machine;
}

Picoseconds time_of(const CollectiveTimes& times, Collective kind, std::int64_t bytes, int gpus) {
  return times.time({kind, {bytes}, gpus});
}

// A ring: alpha (p - 1) + (p - 1)/p n / B; an all-reduce is a reduce-scatter and an all-gather.
TEST(Collectives, WithoutMeasurementsARingOverTheDescribedLinks) {
  const CollectiveTimes times(four_gpus());
  EXPECT_EQ(times.source(), CollectiveSource::estimate);
  constexpr std::int64_t bytes = 40'000'000;              // 3/4 of it: 3 ms at 10 GB/s
  constexpr Picoseconds ring{3'000'000 + 3'000'000'000};  // three messages of 1 us, and 3 ms
  for (const Collective kind : {Collective::all_gather, Collective::reduce_scatter, Collective::all_to_all})
    EXPECT_EQ(time_of(times, kind, bytes, 4), ring) << to_string(kind);
  EXPECT_EQ(time_of(times, Collective::all_reduce, bytes, 4), ring * 2);
  EXPECT_EQ(time_of(times, Collective::all_reduce, bytes, 1), Picoseconds{});
  EXPECT_EQ(time_of(times, Collective::all_reduce, 0, 4), Picoseconds{});
}

// Without link.peer a byte goes down to the host and up again, piece by piece, and crosses its memory twice.
TEST(Collectives, WithoutAPeerLinkThroughTheHost) {
  MachineSpec machine = four_gpus();
  machine.peer = {};
  machine.d2h = machine.h2d = {{8e9}, {1'000'000}, {500'000}, {8e9}, {}};
  machine.host.memory_bandwidth = {80e9};  // 2 x 2 flows: 20 GB/s each; 2 x 4 flows: 10 GB/s
  constexpr std::int64_t bytes = 16'000'000;
  EXPECT_EQ(time_of(CollectiveTimes(machine), Collective::all_gather, bytes, 2),
            (Picoseconds{3'000'000 + 1'000'000'000}));
  machine.host.memory_bandwidth = {16e9};  // of four GPUs 2 GB/s each: slower than their links
  EXPECT_EQ(time_of(CollectiveTimes(machine), Collective::all_gather, bytes, 4),
            (Picoseconds{3 * 3'000'000 + 6'000'000'000}));
}

// Two hosts of four: what a host's GPUs do together, and twice (H - 1)/H n over its network.
TEST(Collectives, OverHostsByLevels) {
  MachineSpec machine = four_gpus();
  machine.d2h = machine.h2d = {{12e9}, {500'000}, {}, {12e9}, {}};
  machine.network = {2, {5e9}, {2'000'000}, {}};
  const CollectiveTimes times(machine);
  constexpr std::int64_t bytes = 40'000'000;
  const Picoseconds within = time_of(times, Collective::all_gather, bytes, 4);
  constexpr Picoseconds hop{3'000'000}, half_over_network{4'000'000'000};
  EXPECT_EQ(time_of(times, Collective::all_gather, bytes, 8), within + hop + half_over_network);
  EXPECT_EQ(time_of(times, Collective::all_reduce, bytes, 8), within * 2 + hop * 2 + half_over_network * 2);
  // Each of a host's four GPUs sends half of its buffer to the other host.
  EXPECT_EQ(time_of(times, Collective::all_to_all, bytes, 8), within + hop + half_over_network * 4);
  EXPECT_THROW(time_of(times, Collective::all_gather, bytes, 9), InputError);
}

/// `from_to`: row by row what one GPU sends each.
ExchangeTotals totals_of(const std::vector<Bytes>& from_to, std::size_t gpus) {
  ExchangeTotals totals(static_cast<int>(gpus), static_cast<int>(gpus));
  for (std::size_t from = 0; from < gpus; ++from) {
    for (std::size_t to = 0; to < gpus; ++to) totals.add(from, to, from_to[from * gpus + to]);
  }
  return totals;
}

// A balanced matrix is the collective itself; one GPU that receives all of it decides.
TEST(Collectives, AnAllToAllOfUnequalMessagesIsThatOfItsHeaviestGpu) {
  const CollectiveTimes times(measured("h100-sxm-pcie5", 4));
  const auto of = [&](const std::vector<Bytes>& from_to) {
    const ExchangeTotals totals = totals_of(from_to, 4);
    return times.all_to_all({totals.heaviest_gpu(), totals.heaviest_host()}, 4, AllToAllWay::hierarchical);
  };
  ASSERT_EQ(times.source(), CollectiveSource::measured);
  constexpr std::int64_t part = 1 << 20;
  std::vector<Bytes> even(16, Bytes{part});
  EXPECT_EQ(of(even), time_of(times, Collective::all_to_all, 4 * part, 4));
  std::vector<Bytes> to_one(16);
  for (const std::size_t from : {1U, 2U, 3U}) to_one[from * 4] = {part};  // nobody sends more than `part`
  EXPECT_EQ(of(to_one), of(even));
  std::vector<Bytes> own(16);
  own[5] = {part};
  EXPECT_EQ(of(own), Picoseconds{});
}

TEST(Collectives, ConstantsAreOfTheGpuThatWasMeasured) {
  EXPECT_EQ(CollectiveTimes(measured("l40s-pcie4", 2)).measured_on(), "l40s");
  // An A100 of 40 GB is another GPU than that of 80 GB which was measured, an H200 another than an H100.
  EXPECT_EQ(CollectiveTimes(measured("a100-40g-pcie4", 2)).source(), CollectiveSource::estimate);
  EXPECT_EQ(CollectiveTimes(measured("h200-sxm-pcie5", 2)).source(), CollectiveSource::estimate);
  // H100 whose links the machine says to be PCIe's are not those that were measured.
  MachineSpec machine = measured("h100-sxm-pcie5", 2);
  machine.peer.bandwidth = {300e9};
  EXPECT_EQ(CollectiveTimes(machine).source(), CollectiveSource::measured);
  machine.peer.bandwidth = {50e9};
  EXPECT_EQ(CollectiveTimes(machine).source(), CollectiveSource::estimate);
}

// Where vLLM's own all-reduce runs, and that it reads whole buffers of two GPUs: bytes (p - 1) / rate.
TEST(Collectives, VllmsOwnAllReduceUpTo8MiB) {
  EXPECT_TRUE(is_own_all_reduce(8 * 1024 * 1024 - 1, 8, GpuLinks::nvlink));
  EXPECT_FALSE(is_own_all_reduce(8 * 1024 * 1024, 8, GpuLinks::nvlink));
  EXPECT_TRUE(is_own_all_reduce(1024, 2, GpuLinks::pcie));
  EXPECT_FALSE(is_own_all_reduce(1024, 4, GpuLinks::pcie));
  CollectiveConstants constants;
  constants.low_floor_s = 1, constants.low_step_s = 0.5, constants.low_rate = 100;
  constants.bulk_floor_s = 10, constants.bulk_step_s = 1, constants.bulk_rate = 1000;
  EXPECT_DOUBLE_EQ(own_all_reduce_time(1000, 2, constants), 1 + 0.5 + 10);
  EXPECT_DOUBLE_EQ(own_all_reduce_time(1000, 4, constants), 1 + 1.5 + 30);
  EXPECT_DOUBLE_EQ(own_all_reduce_time(512 * 1024, 4, constants), 10 + 3 + 1.5 * 512 * 1024 / 1000);
  EXPECT_DOUBLE_EQ(own_all_reduce_time(256 * 1024, 8, constants), 10 + 7 + 1.75 * 256 * 1024 / 1000);
}

TEST(Collectives, TheHostsLaunchIsAFloorOfWhatIsNotReplayed) {
  const CollectiveTimes times(measured("h100-sxm-pcie5", 2));
  CollectiveCall call{.kind = Collective::all_reduce,
                      .bytes = {4096},
                      .gpus = 2,
                      .library = CollectiveLibrary::vllm,
                      .launch = CollectiveLaunch::eager};
  const GpuCollectives gpu = load_gpu_collectives("h100-sxm");
  EXPECT_EQ(times.time(call), from_seconds(gpu.eager_s));
  call.bytes = {1 << 30};  // by NCCL, into a copy
  const Picoseconds eager = times.time(call);
  call.launch = CollectiveLaunch::graph;
  EXPECT_NEAR((eager - times.time(call)).seconds(), 1.0 * (1 << 30) / gpu.eager_copy.value, 1e-9);
}

// Nothing is faster for being larger or for more GPUs of the same links.
TEST(Collectives, MoreBytesNeverTakeLess) {
  for (const std::string& name : collective_gpu_names()) {
    const GpuCollectives gpu = load_gpu_collectives(name);
    for (const Collective kind : collectives()) {
      for (const int gpus : {2, 4, 8}) {
        double before = 0;
        for (double bytes = 256; bytes <= 1 << 30; bytes *= 2) {
          const double now =
              collective_time(kind, CollectiveLibrary::nccl, CollectiveLaunch::graph, bytes, gpus, gpu);
          // At the switch NCCL changes to a protocol that is not always the faster one there.
          EXPECT_GT(now, 0.6 * before) << name << ' ' << to_string(kind) << ' ' << gpus << ' ' << bytes;
          before = now;
        }
      }
    }
  }
}

// E C / k of the paper's two models (Huang et al., 2303.06182): exact.
TEST(ExpertExchange, StaticGatingSendsECRowsForEachOfK) {
  EXPECT_DOUBLE_EQ((StaticGating{512, 0.05}.waste(2)), 12.8);
  EXPECT_DOUBLE_EQ((StaticGating{128, 1}.waste(2)), 64);
  const StaticGating gating{512, 0.05};
  EXPECT_EQ(gating.room(20), 1);
  EXPECT_EQ(gating.rows(2000), 51'200);  // dynamic gating: 2 x 2000
  const std::vector<std::uint32_t> by_expert{100, 101, 150, 0};
  EXPECT_EQ(gating.dropped(by_expert, 2000), 1 + 50);
}

// The maximum over GPUs of what each sends and gets, by itself and as a host.
TEST(ExpertExchange, TotalsAreOfTheHeaviest) {
  const std::vector<Bytes> from_to{{99}, {1000}, {0}, {0}, {99}, {0}, {500}, {2000}, {99}};
  // Sent: 1000, 0, 2500; received: 500, 3000, 0. What a GPU keeps (99) counts for nothing.
  EXPECT_EQ(totals_of(from_to, 3).heaviest_gpu(), Bytes{3000});
  EXPECT_EQ(totals_of(from_to, 3).heaviest_host(), Bytes{});
  // Two GPUs a host: the third is one of its own and sends 2500 to the other.
  ExchangeTotals hosts(3, 2);
  hosts.add(0, 1, {1000});
  hosts.add(2, 0, {500});
  hosts.add(2, 1, {2000});
  EXPECT_EQ(hosts.heaviest_within(), Bytes{1000});
  EXPECT_EQ(hosts.heaviest_host(), Bytes{2500});
}

// DeepSpeed-MoE with hosts of G = 8, p = 16, 64 kB a GPU: 7 messages of 5 us at 200 GB/s and one of 20 us at
// 20 GB/s a GPU, in place of one of 20 us to each GPU of the other host. What goes to it crosses both levels.
TEST(ExpertExchange, AHierarchicalAllToAllTakesFewerHopsForTwiceTheVolume) {
  MachineSpec machine = measured("t4-pcie3", 8);
  machine.peer = {{200e9}, {5'000'000}, {}};
  machine.d2h = machine.h2d = {{1e15}, {}, {}, {1e15}, {}};
  machine.network = {2, {160e9}, {20'000'000}, {}};
  const CollectiveTimes times(machine);
  // Each sends 1/16 of 64 kB to each: within the host 7/8 of 64 kB, once gathered by host; 32 kB x 8 leave
  // it.
  const UnequalMessages messages{{56'000}, {256'000}};
  constexpr Picoseconds within{7 * 5'000'000 + 280'000}, volume{1'600'000};
  EXPECT_EQ(times.all_to_all(messages, 16, AllToAllWay::hierarchical),
            within + (Picoseconds{20'000'000} + volume));  // 56.88 us
  EXPECT_EQ(times.all_to_all(messages, 16, AllToAllWay::flat), (Picoseconds{8 * 20'000'000} + volume));
}

}  // namespace
}  // namespace pregate::sim
