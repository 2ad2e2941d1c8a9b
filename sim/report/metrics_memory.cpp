// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/metric_lists.hpp"
#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

using Result = SimulationResult;
using Value = MetricValue;

}  // namespace

std::vector<Metric> memory_metrics() {
  std::vector<Metric> all = {
      {.name = "peak_gpu_bytes",
       .unit = "bytes",
       .help = "the most that GPU memory holds",
       .value = [](const Result& r) -> Value { return r.memory.total().count; },
       .csv = "peak_gpu_bytes",
       .table = TableColumn{
           .head = "GPU GiB", .best = Best::least, .rank = 1, .divisor = 1LL << 30, .print = three_digits}}};
  for (int i = 0; i < memory_purpose_count; ++i) {
    all.push_back(
        {.name = std::string("peak_gpu_bytes_by_purpose.") + to_string(static_cast<MemoryPurpose>(i)),
         .unit = "bytes",
         .help = "of the peak: " + words_of(to_string(static_cast<MemoryPurpose>(i))),
         .value = [i](const Result& r) -> Value {
           return r.memory.peak[static_cast<std::size_t>(i)].count;
         }});
  }
  const auto add = [&](const char* name, const char* unit, const char* help, Value (*value)(const Result&)) {
    all.push_back({.name = name, .unit = unit, .help = help, .value = value});
  };
  add("usable_gpu_bytes", "bytes", "what the machine has for it",
      [](const Result& r) -> Value { return r.memory.usable.count; });
  add("host_bytes", "bytes", "host memory that the experts take, and the KV cache where it is there",
      [](const Result& r) -> Value { return r.memory.host.count; });
  add("cache_slots", "experts", "the cache holds at most",
      [](const Result& r) -> Value { return r.cache_slots; });
  add("buffer_slots", "experts", "the buffers of decode steps hold at most",
      [](const Result& r) -> Value { return r.buffer_slots; });
  add("prefill_slots", "experts", "the further buffers of passes over many tokens hold at most",
      [](const Result& r) -> Value { return r.prefill_slots; });
  return all;
}

}  // namespace pregate::sim
