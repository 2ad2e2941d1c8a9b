// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/schedule/random_schedule.hpp"

#include <array>
#include <random>
#include <vector>

namespace pregate::sim::test {

Schedule random_schedule(const RandomSchedule& wanted) {
  std::mt19937_64 random(wanted.seed);
  const auto below = [&random](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };

  Schedule schedule;
  schedule.platform.capacity = {{{25e9}, {13.2e9}, {30e9}, {7e9}}};
  if (below(4) == 0) schedule.platform.capacity[2] = {};
  schedule.platform.order[static_cast<std::size_t>(StreamId::h2d)] = wanted.copy_order;
  schedule.platform.order[static_cast<std::size_t>(StreamId::d2h)] = wanted.copy_order;

  constexpr std::uint32_t memory = bit(ResourceId::host_memory);
  constexpr std::array<std::uint32_t, stream_count> resources{
      0, bit(ResourceId::link_h2d) | memory, bit(ResourceId::link_d2h) | memory,
      0, bit(ResourceId::ssd) | memory,      memory};
  constexpr std::array<OpKind, stream_count> kinds{OpKind::attention,     OpKind::fetch, OpKind::write_back,
                                                   OpKind::gate_readback, OpKind::fetch, OpKind::experts};
  for (OpId id = 0; id < wanted.operations; ++id) {
    Operation operation;
    const auto stream = static_cast<std::size_t>(below(stream_count));
    operation.stream = static_cast<StreamId>(stream);
    operation.kind = kinds.at(stream);
    operation.priority = static_cast<std::uint8_t>(below(3));
    operation.layer = static_cast<std::int32_t>(below(48));
    operation.step = id / 50;
    operation.fixed = {below(5) == 0 ? 0 : below(40'000'000)};
    if (resources.at(stream) != 0 && below(10) != 0) {
      operation.bytes = {1 + below(4'000'000)};
      operation.rate = {1e9 + static_cast<double>(below(29'000)) * 1e6};
      operation.resources = resources.at(stream);
    }
    std::vector<OpId> dependencies;
    if (wanted.group > 0 && id >= wanted.group) dependencies.push_back(id / wanted.group * wanted.group - 1);
    if (id > 0) {
      for (auto count = below(3); count > 0; --count) {
        const auto reach = static_cast<std::uint64_t>(std::min<OpId>(id, 30));
        dependencies.push_back(id - 1 - below(reach));
      }
    }
    schedule.add(operation, dependencies);
  }
  return schedule;
}

}  // namespace pregate::sim::test
