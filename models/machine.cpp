// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/machine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "models/error.hpp"
#include "models/fields/describe.hpp"
#include "models/fields/read_fields.hpp"

namespace pregate {
namespace {

const std::vector<std::string> precisions = {"fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8"};

/// Reports on one description; `where` is the file, the key is added to each message.
struct Checker {
  const std::string& where;

  void between(const char* key, double value, double least, double most, const char* range) const {
    if (value >= least && value <= most) return;  // false for NaN
    throw InputError(where, std::string(key) + " is missing, zero or not believable",
                     std::string("it must be ") + range);
  }
  void size(const char* key, Bytes value, double least) const {
    between(key, static_cast<double>(value.count), least, 1e16, "from 1 B to 10 PB");
  }
  void rate(const char* key, BytesPerSecond value) const {
    between(key, value.value, 1e6, 1e14, "from 1 MB/s to 100 TB/s");
  }
  void cost(const char* key, Picoseconds value) const {
    between(key, value.seconds(), 0, 60, "from 0 s to 60 s");
  }
  void point(const std::string& key, int tokens, Picoseconds time) const {
    between((key + ": tokens").c_str(), tokens, 1, 1e9, "at least 1");
    between((key + ": time").c_str(), time.seconds(), 1e-12, 60, "above 0 and at most 60 s");
  }
  void kernel_times(const KernelTimes& times) const {
    const std::string key = "kernel_times of " + times.key.operation;
    cost((key + ": fixed").c_str(), times.fixed);
    std::set<int> seen;
    for (const KernelPoint& measured : times.points) {
      point(key, measured.tokens, measured.time);
      if (seen.insert(measured.tokens).second) continue;
      throw InputError(where, key + ": " + std::to_string(measured.tokens) + " tokens occur twice");
    }
  }
  void points(const std::string& key, const std::vector<ExpertKernelPoint>& points) const {
    std::set<std::pair<int, int>> seen;
    for (const ExpertKernelPoint& measured : points) {
      point(key, measured.tokens, measured.time);
      between((key + ": activated_experts").c_str(), measured.activated_experts, 1, 1e6, "at least 1");
      if (seen.emplace(measured.tokens, measured.activated_experts).second) continue;
      throw InputError(where, key + ": " + std::to_string(measured.tokens) + " tokens with " +
                                  std::to_string(measured.activated_experts) +
                                  " activated experts occurs twice");
    }
  }
  void copies(const std::string& key, const LinkSpec& link) const {
    for (std::size_t i = 0; i < link.table.size(); ++i) {
      rate((key + ".table: a rate").c_str(), link.table[i].rate);
      size((key + ".table: a size").c_str(), link.table[i].size, 1);
      if (i > 0 && link.table[i].size <= link.table[i - 1].size) {
        throw InputError(where, key + ".table: sizes must increase strictly");
      }
    }
  }
};

}  // namespace

std::vector<std::string> precision_names() { return precisions; }

FlopPerSecond compute_rate(const GpuSpec& gpu, const std::string& precision) {
  static const std::map<std::string, std::vector<const char*>> alternatives = {
      {"fp64", {"fp64"}},
      {"fp32", {"fp32"}},
      {"tf32", {"tf32", "fp32"}},
      {"fp16", {"fp16", "bf16", "fp32"}},
      {"bf16", {"bf16", "fp16", "fp32"}},
      {"fp8", {"fp8", "bf16", "fp16", "fp32"}},
      {"fp4", {"fp4", "fp8", "bf16", "fp16", "fp32"}},
      {"int8", {"int8", "bf16", "fp16", "fp32"}},
  };
  if (const auto found = alternatives.find(precision); found != alternatives.end()) {
    for (const char* candidate : found->second) {
      if (const auto rate = gpu.rates.find(candidate); rate != gpu.rates.end()) return rate->second;
    }
  }
  throw InputError(gpu.name, "has no arithmetic rate for the precision '" + printable(precision) + "'",
                   suggest(precision, precisions));
}

void validate(const HostSpec& host, const std::string& where) {
  check_ranges(host_fields(), host, where, "host.");
  if (host.numa.nodes > 1 && host.numa.bandwidth.value <= 0)
    throw InputError(where, "host.numa.bandwidth is missing, which several nodes need", "e.g. \"40 GB/s\"");
}

void validate(const SsdSpec& ssd, const std::string& where) {
  check_ranges(ssd_fields(), ssd, where, "ssd.");
}

void validate(const MachineSpec& machine, const std::string& where) {
  check_ranges(machine_fields(), machine, where);
  validate(machine.host, where);
  const GpuSpec& gpu = machine.gpu;
  if (gpu.reserved >= gpu.memory) throw InputError(where, "gpu.reserved leaves nothing of gpu.memory");
  if (!gpu.rates.contains("fp32"))
    throw InputError(where, "gpu.rates.fp32 is missing", "every precision falls back to it");
  for (const auto& [precision, rate] : gpu.rates) {
    if (std::find(precisions.begin(), precisions.end(), precision) == precisions.end()) {
      throw InputError(where, "gpu.rates: unknown precision '" + printable(precision) + "'",
                       suggest(precision, precisions));
    }
  }
  if ((gpu.grouped_gemm_tile_rows > 0) != (gpu.grouped_gemm_tile_columns > 0)) {
    throw InputError(where, "gpu.grouped_gemm_tile_rows and gpu.grouped_gemm_tile_columns go together");
  }

  if (gpu.count * machine.network.hosts > most_gpus) {
    throw InputError(where, "gpu.count x network.hosts is more than " + std::to_string(most_gpus) + " GPUs",
                     "simulate fewer of them");
  }

  if (machine.network.hosts > 1 && machine.network.bandwidth.value <= 0)
    throw InputError(where, "network.bandwidth is missing, which several hosts need", "e.g. \"12.5 GB/s\"");

  const Checker check{where};
  check.copies("link.h2d", machine.h2d);
  check.copies("link.d2h", machine.d2h);
  check.points("expert_kernel_table", machine.expert_kernel_table);
  for (const KernelTimes& times : machine.kernel_times) check.kernel_times(times);

  if (machine.calibration != "datasheet" && machine.calibration_source.empty()) {
    throw InputError(
        where, "calibration_source is missing",
        "a '" + machine.calibration + "' machine names the rows or the run its constants come from");
  }
}

}  // namespace pregate
