// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Writes schedules with the engine's times into a folder, for simgrid_replay: make_schedules FOLDER
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "sim/engine/event_engine.hpp"
#include "tests/schedule/build.hpp"
#include "tests/schedule/random_schedule.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim::test {
namespace {

constexpr ResourceSet h2d_link = bit(one_gpu::link_h2d);
constexpr ResourceSet d2h_link = bit(one_gpu::link_d2h);
constexpr ResourceSet memory = bit(one_gpu::host_memory);

/// Decode steps on demand: gate, read-back, fetch, experts, layer after layer; no two flows at once.
Schedule in_order_streams() {
  Schedule schedule;
  schedule.platform = platform_with(one_gpu::link_h2d, gb_per_s(25));
  OpId last = no_op;
  for (int layer = 0; layer < 60; ++layer) {
    schedule.add(work(one_gpu::compute, us(40)), {});
    last = schedule.add(work(one_gpu::compute, us(7), OpKind::gate), {{last}});
    last = schedule.add(work(one_gpu::host, us(10), OpKind::gate_readback), {{last}});
    OpId fetch = no_op;
    for (int expert = 0; expert <= layer % 4; ++expert) {
      fetch = schedule.add(copy(one_gpu::h2d, us(5), 3'538'944 + layer, gb_per_s(24.6), h2d_link), {{last}});
    }
    last = schedule.add(work(one_gpu::compute, us(31), OpKind::experts), {{fetch}});
  }
  return schedule;
}

/// Flows of two streams on one link, out of step with each other, of different caps.
Schedule two_flows_on_a_link() {
  Schedule schedule;
  schedule.platform = platform_with(one_gpu::link_h2d, gb_per_s(25));
  for (int i = 0; i < 40; ++i) {
    schedule.add(copy(one_gpu::h2d, us(9), 1'000'000 + 70'000 * i, gb_per_s(24), h2d_link), {});
    schedule.add(copy(one_gpu::cpu, us(3), 2'300'000 - 30'000 * i, gb_per_s(i % 3 == 0 ? 6 : 21), h2d_link),
                 {});
  }
  return schedule;
}

/// Copies of two links, each within its link, and CPU work on the memory bus that carries them all.
Schedule memory_bus_of_two_links() {
  Schedule schedule;
  schedule.platform = platform_with(one_gpu::host_memory, gb_per_s(38));
  schedule.platform[one_gpu::link_h2d].capacity = gb_per_s(25);
  schedule.platform[one_gpu::link_d2h].capacity = gb_per_s(24);
  for (int i = 0; i < 40; ++i) {
    schedule.add(copy(one_gpu::h2d, us(8), 3'000'000 + 10'007 * i, gb_per_s(24.5), h2d_link | memory), {});
    schedule.add(copy(one_gpu::d2h, us(8), 2'000'000 + 30'011 * i, gb_per_s(23), d2h_link | memory), {});
    if (i % 2 == 0) schedule.add(copy(one_gpu::cpu, us(100), 4'000'000, gb_per_s(30), memory), {});
  }
  return schedule;
}

/// Two GPUs, each behind a link of its own, whose experts come from the host's memory or, read piece by piece
/// before, from a drive; all copies share the memory's bus, and results of the second GPU go back beside
/// them.
Schedule two_gpus_and_a_drive() {
  Schedule schedule;
  Platform& platform = schedule.platform;
  const ResourceId bus = platform.add_resource("host_memory", gb_per_s(44)),
                   read = platform.add_resource("drive", gb_per_s(7));
  const StreamId drive = platform.add_stream("drive");
  struct Gpu {
    StreamId compute, in, out;
    ResourceId down, up;
    OpId last = no_op;
  };
  std::vector<Gpu> gpus;
  for (const double rate : {25.0, 12.5}) {
    const std::string name = "gpu" + std::to_string(gpus.size());
    gpus.push_back({platform.add_stream(name), platform.add_stream(name + ".in"),
                    platform.add_stream(name + ".out"), platform.add_resource(name + ".down", gb_per_s(rate)),
                    platform.add_resource(name + ".up", gb_per_s(rate))});
  }
  for (int layer = 0; layer < 30; ++layer) {
    for (std::size_t i = 0; i < gpus.size(); ++i) {
      Gpu& gpu = gpus[i];
      const OpId gate = schedule.add(work(gpu.compute, us(40 + 3 * layer % 7)), {{gpu.last}});
      OpId there = gate;
      if ((layer + static_cast<int>(i)) % 3 == 0)
        there = schedule.add(
            copy(drive, us(80), 900'000 + 1'009 * layer, gb_per_s(6.8), bit(read) | bit(bus)), {{gate}});
      const OpId fetched = schedule.add(copy(gpu.in, us(7), 2'400'000 + 5'003 * layer,
                                             gb_per_s(i == 0 ? 24.6 : 12.1), bit(gpu.down) | bit(bus)),
                                        {{there}});
      gpu.last = schedule.add(work(gpu.compute, us(55), OpKind::experts), {{fetched}});
      if (i == 1)
        schedule.add(copy(gpu.out, us(5), 700'000, gb_per_s(12), bit(gpu.up) | bit(bus)), {{gpu.last}});
    }
  }
  return schedule;
}

void write(const std::filesystem::path& path, const Schedule& schedule, const Timeline& timeline) {
  std::ofstream file(path, std::ios::binary);
  file << to_json(schedule, &timeline);
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

void write_all(const std::filesystem::path& folder) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "wrong");
  const auto timed = [&folder](const std::string& name, const Schedule& schedule) {
    write(folder / (name + ".json"), schedule, run(schedule));
  };
  timed("in_order_streams", in_order_streams());
  timed("two_flows_on_a_link", two_flows_on_a_link());
  timed("memory_bus_of_two_links", memory_bus_of_two_links());
  timed("two_gpus_and_a_drive", two_gpus_and_a_drive());
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    timed("random_" + std::to_string(seed), random_schedule({.seed = seed, .operations = 500}));
  }
  timed("random_long", random_schedule({.seed = 77, .operations = 5'000}));
  timed("random_priority",
        random_schedule({.seed = 5, .operations = 500, .copy_order = StreamOrder::priority}));

  const Schedule schedule = two_flows_on_a_link();
  Timeline wrong = run(schedule);
  wrong.finish.at(50).count += wrong.finish.at(50).count / 500;  // 0.2 % late
  write(folder / "wrong" / "wrong_finish.json", schedule, wrong);
}

}  // namespace
}  // namespace pregate::sim::test

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_schedules FOLDER\n";
    return 2;
  }
  try {
    pregate::sim::test::write_all(argv[1]);
  } catch (const std::exception& error) {
    std::cerr << "make_schedules: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
