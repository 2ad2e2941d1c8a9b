// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/limits.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "sim/report/text_table.hpp"

namespace pregate::sim {

namespace {

using LimitParts = std::array<Picoseconds, limit_count>;

constexpr std::array<const char*, limit_count> keys{
    "gpu_arithmetic", "gpu_memory",     "kernels", "launches", "link",  "device_copies",
    "host_memory",    "cpu_arithmetic", "gate",    "waiting",  "drive", "exchanges"};
constexpr std::array<const char*, limit_count> names{
    "GPU arithmetic", "GPU memory",     "the kernels",
    "launches",       "the link",       "copies inside the GPU",
    "host memory",    "CPU arithmetic", "waiting for the gate",
    "waiting",        "the drive",      "exchanges between GPUs"};

const char* name_of(Limit limit) { return names.at(static_cast<std::size_t>(limit)); }

LimitParts by_limit(const CauseSums& spent, Picoseconds gpu_arithmetic, Picoseconds waiting) {
  LimitParts parts;
  const auto set = [&](Limit limit, Picoseconds time) { parts[static_cast<std::size_t>(limit)] = time; };
  set(Limit::gpu_arithmetic, gpu_arithmetic);
  set(Limit::gpu_memory, spent[Cause::gpu_memory]);
  set(Limit::kernels, spent[Cause::kernels]);
  set(Limit::launches, spent[Cause::launches]);
  set(Limit::link, spent[Cause::link]);
  set(Limit::device_copies, spent[Cause::device_copies]);
  set(Limit::host_memory, spent[Cause::copied_host_memory] + spent[Cause::cpu_memory]);
  set(Limit::cpu_arithmetic, spent[Cause::cpu_arithmetic]);
  set(Limit::gate, spent[Cause::gate]);
  set(Limit::waiting, waiting);
  set(Limit::drive, spent[Cause::drive]);
  set(Limit::exchanges, spent[Cause::exchanges]);
  return parts;
}

/// The largest of `candidates` but `without`, if any takes time; the first one on a tie.
std::optional<Limit> largest(const LimitParts& parts, std::span<const Limit> candidates,
                             std::optional<Limit> without) {
  std::optional<Limit> best;
  for (const Limit limit : candidates) {
    const Picoseconds time = parts[static_cast<std::size_t>(limit)];
    if (limit == without || time.count <= 0) continue;
    if (!best || time > parts[static_cast<std::size_t>(*best)]) best = limit;
  }
  return best;
}

/// What the operations of each stream are spent on.
struct StreamLimits {
  StreamId stream;
  std::span<const Limit> limits;
};
/// Kernels that read over the link wait for it on the stream that computes: Tally::reading.
constexpr std::array gpu_limits{Limit::gpu_arithmetic, Limit::gpu_memory, Limit::kernels, Limit::launches,
                                Limit::exchanges};
constexpr std::array copy_limits{Limit::link, Limit::device_copies, Limit::host_memory};
constexpr std::array cpu_limits{Limit::host_memory, Limit::cpu_arithmetic, Limit::link};
constexpr std::array drive_limits{Limit::drive, Limit::host_memory};
constexpr std::array back_limits{Limit::gate, Limit::link, Limit::host_memory};

/// Of the first GPU, of the CPU and of the drive.
std::vector<StreamLimits> limits_by_stream(const Topology& topology) {
  const Place &gpu = topology[topology.first(PlaceKind::gpu)],
              &cpu = topology[topology.first(PlaceKind::cpu)];
  std::vector<StreamLimits> all{{gpu.compute, gpu_limits},
                                {topology.route(cpu.memory, gpu.memory).front().stream, copy_limits},
                                {topology.route(gpu.memory, cpu.memory).front().stream, back_limits},
                                {cpu.compute, cpu_limits}};
  if (topology.has_behind(cpu.memory)) {
    const MemoryId drive = topology.behind(cpu.memory);
    all.push_back({topology.route(drive, cpu.memory).front().stream, drive_limits});
  }
  return all;
}

constexpr std::array all_limits{Limit::gpu_arithmetic, Limit::gpu_memory,     Limit::kernels,
                                Limit::launches,       Limit::link,           Limit::device_copies,
                                Limit::host_memory,    Limit::cpu_arithmetic, Limit::gate,
                                Limit::waiting,        Limit::drive,          Limit::exchanges};

}  // namespace

const char* to_string(Limit limit) { return keys.at(static_cast<std::size_t>(limit)); }

Limits limits_of(const SimulationResult& result) {
  Limits limits;
  const PathPoint& path = result.path;
  limits.path = by_limit(path.spent, path.gpu_arithmetic(), path.waiting);
  const Picoseconds total = path.finish;
  if (total.count <= 0) return limits;
  for (std::size_t i = 0; i < limits.path.size(); ++i) {
    limits.share.at(i) = static_cast<double>(limits.path.at(i).count) / static_cast<double>(total.count);
  }
  limits.binding = largest(limits.path, all_limits, std::nullopt).value_or(Limit::gpu_arithmetic);
  // The critical path is a chain of operations that wait for each other, and so is each stream: neither gets
  // shorter than what is left of it.
  limits.least = total - limits.path[static_cast<std::size_t>(limits.binding)];
  limits.next = largest(limits.path, all_limits, limits.binding);
  const LimitParts work = by_limit(result.tally.spent, result.tally.gpu_arithmetic(), {});
  for (const StreamLimits& stream : limits_by_stream(result.topology)) {
    const bool has =
        std::find(stream.limits.begin(), stream.limits.end(), limits.binding) != stream.limits.end();
    Picoseconds gone = has ? work[static_cast<std::size_t>(limits.binding)] : Picoseconds{};
    if (limits.binding == Limit::link && stream.limits.data() == gpu_limits.data())
      gone = result.tally.reading;
    const Picoseconds left = std::min(result.tally.busy[number_of(stream.stream)], total) - gone;
    if (left <= limits.least) continue;
    limits.least = left;
    limits.next = largest(work, stream.limits, limits.binding);
  }
  limits.most_speedup =
      limits.least.count > 0 ? static_cast<double>(total.count) / static_cast<double>(limits.least.count) : 0;
  return limits;
}

std::string limits_text(const Limits& limits) {
  std::string text = std::string("bound by ") + name_of(limits.binding) + " (" +
                     percent(limits.share[static_cast<std::size_t>(limits.binding)]) + " of the time)";
  if (limits.most_speedup <= 0 || !limits.next) return text + ", and by nothing else";
  return text + "; without that at most " + three_digits(limits.most_speedup) +
         " times as fast, then bound by " + name_of(*limits.next);
}

}  // namespace pregate::sim
