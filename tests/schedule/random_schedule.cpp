// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/schedule/random_schedule.hpp"
#include "tests/support/one_gpu.hpp"

#include <array>
#include <random>
#include <vector>

namespace pregate::sim::test {

Schedule random_schedule(const RandomSchedule& wanted) {
  std::mt19937_64 random(wanted.seed);
  const auto below = [&random](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };

  Schedule schedule;
  schedule.platform = one_gpu::platform();
  schedule.platform[one_gpu::link_h2d].capacity = {25e9};
  schedule.platform[one_gpu::link_d2h].capacity = {13.2e9};
  schedule.platform[one_gpu::host_memory].capacity = {below(4) == 0 ? 0 : 30e9};
  schedule.platform[one_gpu::ssd_reads].capacity = {7e9};
  schedule.platform[one_gpu::h2d].order = wanted.copy_order;
  schedule.platform[one_gpu::d2h].order = wanted.copy_order;

  constexpr ResourceSet memory = bit(one_gpu::host_memory);
  constexpr std::array<ResourceSet, one_gpu::streams> resources{
      0, bit(one_gpu::link_h2d) | memory,  bit(one_gpu::link_d2h) | memory,
      0, bit(one_gpu::ssd_reads) | memory, memory};
  constexpr std::array<OpKind, one_gpu::streams> kinds{OpKind::attention,  OpKind::fetch,
                                                       OpKind::write_back, OpKind::gate_readback,
                                                       OpKind::fetch,      OpKind::experts};
  for (OpId id = 0; id < wanted.operations; ++id) {
    Operation operation;
    const auto stream = static_cast<std::size_t>(below(one_gpu::streams));
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
