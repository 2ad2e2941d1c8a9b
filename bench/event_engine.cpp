// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Speed of the event engine where flows share resources: operations a second on one core, submitted as a
// planner does, a few steps ahead, and forgotten as it goes.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <array>
#include <vector>

#include "sim/engine/event_engine.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim {
namespace {

constexpr ResourceSet h2d_link = bit(one_gpu::link_h2d);
constexpr ResourceSet d2h_link = bit(one_gpu::link_d2h);
constexpr ResourceSet memory = bit(one_gpu::host_memory);

Operation work(StreamId stream, std::int64_t fixed_ns) {
  Operation operation;
  operation.stream = stream;
  operation.fixed = {fixed_ns * 1000};
  return operation;
}

Operation copy(StreamId stream, std::int64_t bytes, double gb_per_s, ResourceSet resources) {
  Operation operation = work(stream, 8'000);
  operation.kind = OpKind::fetch;
  operation.bytes = {bytes};
  operation.rate = {gb_per_s * 1e9};
  operation.resources = resources;
  return operation;
}

Platform shared_platform() {
  Platform platform = one_gpu::platform();
  platform[one_gpu::link_h2d].capacity = {25e9};
  platform[one_gpu::link_d2h].capacity = {25e9};
  platform[one_gpu::host_memory].capacity = {40e9};  // less than the links together
  return platform;
}

/// One layer of a busy machine: attention, fetches down and write-backs up that contend for host memory,
/// experts on the GPU after the fetches, and experts on the CPU that read the same memory. 9 operations, 6 of
/// them flows.
OpId submit_layer(EventEngine& engine, OpId before, int layer) {
  const OpId attention = engine.submit(work(one_gpu::compute, 40'000 + layer % 7 * 1'000), {{before}});
  const OpId gate = engine.submit(work(one_gpu::host, 9'000), {{attention}});
  OpId fetch = no_op;
  for (int i = 0; i < 3; ++i) {
    fetch =
        engine.submit(copy(one_gpu::h2d, 900'000 + layer % 11 * 40'000, 24.6, h2d_link | memory), {{gate}});
  }
  for (int i = 0; i < 2; ++i) {
    engine.submit(copy(one_gpu::d2h, 700'000 + layer % 5 * 90'000, 23.9, d2h_link | memory), {{gate}});
  }
  const OpId cpu = engine.submit(copy(one_gpu::cpu, 1'500'000, 30, memory), {{gate}});
  return engine.submit(work(one_gpu::compute, 31'000), {{fetch, cpu}});
}

constexpr int operations_a_layer = 9;

void report(benchmark::State& state, std::int64_t operations) {
  state.SetItemsProcessed(state.iterations() * operations);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["max_rss_mb"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

/// As a live planner: each layer is submitted when the one before the last is done.
void shared_links(benchmark::State& state, StreamOrder copy_order) {
  const auto layers = static_cast<int>(state.range(0) / operations_a_layer);
  Platform platform = shared_platform();
  platform[one_gpu::h2d].order = copy_order;
  for (auto _ : state) {
    EventEngine engine(platform);
    std::array<OpId, 2> last{no_op, no_op};
    for (int layer = 0; layer < layers; ++layer) {
      const OpId id = submit_layer(engine, last[1], layer);
      if (last[0] != no_op) engine.run_until(last[0]);
      if (layer % 64 == 0) engine.forget_before(last[0]);
      last = {last[1], id};
    }
    engine.run();
    benchmark::DoNotOptimize(engine.now());
  }
  report(state, std::int64_t{layers} * operations_a_layer);
}
void event_engine_shared_links_fifo(benchmark::State& state) { shared_links(state, StreamOrder::fifo); }
void event_engine_shared_links_priority(benchmark::State& state) {
  shared_links(state, StreamOrder::priority);
}
BENCHMARK(event_engine_shared_links_fifo)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(event_engine_shared_links_priority)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Unit(benchmark::kMillisecond);

/// Copies only, each throttled by others nearly all the time: the worst case for rate changes an operation.
void event_engine_copies_only(benchmark::State& state) {
  const std::int64_t operations = state.range(0);
  const Platform platform = shared_platform();
  for (auto _ : state) {
    EventEngine engine(platform);
    for (std::int64_t i = 0; i < operations; i += 2) {
      const OpId id =
          engine.submit(copy(one_gpu::h2d, 900'000 + i % 11 * 40'000, 24.6, h2d_link | memory), {});
      engine.submit(copy(one_gpu::d2h, 700'000 + i % 5 * 90'000, 23.9, d2h_link | memory), {});
      if (i % 256 == 0 && id > 1'000) {
        engine.run_until(id - 1'000);
        engine.forget_before(id - 1'000);
      }
    }
    engine.run();
    benchmark::DoNotOptimize(engine.now());
  }
  report(state, operations);
}
BENCHMARK(event_engine_copies_only)->Arg(10'000'000)->Unit(benchmark::kMillisecond);

/// A whole schedule, nothing forgotten.
void event_engine_whole_schedule(benchmark::State& state) {
  const auto layers = static_cast<int>(state.range(0) / operations_a_layer);
  for (auto _ : state) {
    EventEngine engine(shared_platform());
    OpId last = no_op;
    for (int layer = 0; layer < layers; ++layer) last = submit_layer(engine, last, layer);
    engine.run();
    benchmark::DoNotOptimize(engine.now());
  }
  report(state, std::int64_t{layers} * operations_a_layer);
}
BENCHMARK(event_engine_whole_schedule)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pregate::sim
