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

namespace pregate::sim::test {
namespace {

constexpr std::uint32_t h2d_link = bit(ResourceId::link_h2d);
constexpr std::uint32_t d2h_link = bit(ResourceId::link_d2h);
constexpr std::uint32_t memory = bit(ResourceId::host_memory);

/// Decode steps on demand: gate, read-back, fetch, experts, layer after layer; no two flows at once.
Schedule in_order_streams() {
  Schedule schedule;
  schedule.platform = platform_with(ResourceId::link_h2d, gb_per_s(25));
  OpId last = no_op;
  for (int layer = 0; layer < 60; ++layer) {
    schedule.add(work(StreamId::compute, us(40)), {});
    last = schedule.add(work(StreamId::compute, us(7), OpKind::gate), {{last}});
    last = schedule.add(work(StreamId::host, us(10), OpKind::gate_readback), {{last}});
    OpId fetch = no_op;
    for (int expert = 0; expert <= layer % 4; ++expert) {
      fetch = schedule.add(copy(StreamId::h2d, us(5), 3'538'944 + layer, gb_per_s(24.6), h2d_link), {{last}});
    }
    last = schedule.add(work(StreamId::compute, us(31), OpKind::experts), {{fetch}});
  }
  return schedule;
}

/// Flows of two streams on one link, out of step with each other, of different caps.
Schedule two_flows_on_a_link() {
  Schedule schedule;
  schedule.platform = platform_with(ResourceId::link_h2d, gb_per_s(25));
  for (int i = 0; i < 40; ++i) {
    schedule.add(copy(StreamId::h2d, us(9), 1'000'000 + 70'000 * i, gb_per_s(24), h2d_link), {});
    schedule.add(copy(StreamId::cpu, us(3), 2'300'000 - 30'000 * i, gb_per_s(i % 3 == 0 ? 6 : 21), h2d_link),
                 {});
  }
  return schedule;
}

/// Copies of two links, each within its link, and CPU work on the memory bus that carries them all.
Schedule memory_bus_of_two_links() {
  Schedule schedule;
  schedule.platform = platform_with(ResourceId::host_memory, gb_per_s(38));
  schedule.platform.capacity.at(static_cast<std::size_t>(ResourceId::link_h2d)) = gb_per_s(25);
  schedule.platform.capacity.at(static_cast<std::size_t>(ResourceId::link_d2h)) = gb_per_s(24);
  for (int i = 0; i < 40; ++i) {
    schedule.add(copy(StreamId::h2d, us(8), 3'000'000 + 10'007 * i, gb_per_s(24.5), h2d_link | memory), {});
    schedule.add(copy(StreamId::d2h, us(8), 2'000'000 + 30'011 * i, gb_per_s(23), d2h_link | memory), {});
    if (i % 2 == 0) schedule.add(copy(StreamId::cpu, us(100), 4'000'000, gb_per_s(30), memory), {});
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
