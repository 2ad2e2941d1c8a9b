// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/machine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "models/error.hpp"

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
    between(key, static_cast<double>(value.count), least, 1e16, "a size such as 24 GiB");
  }
  void rate(const char* key, BytesPerSecond value) const {
    between(key, value.value, 1e6, 1e14, "from 1 MB/s to 100 TB/s");
  }
  void flops(const std::string& key, FlopPerSecond value) const {
    between(key.c_str(), value.value, 1e9, 1e18, "from 1 GFLOP/s to 1000 PFLOP/s");
  }
  void share(const char* key, double value) const { between(key, value, 1e-6, 1, "above 0 and at most 1"); }
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
  void link(const std::string& key, const LinkSpec& link) const {
    rate((key + ".bandwidth").c_str(), link.bandwidth);
    rate((key + ".pageable_bandwidth").c_str(), link.pageable_bandwidth);
    cost((key + ".latency").c_str(), link.latency);
    cost((key + ".per_copy").c_str(), link.per_copy);
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
  const Checker check{where};
  check.between("host.cores", host.cores, 1, 100'000, "the number of physical cores");
  check.size("host.memory", host.memory, 1e6);
  check.rate("host.memory_bandwidth", host.memory_bandwidth);
  check.flops("host.rate", host.rate);
  const HostComputeSpec& compute = host.compute;
  check.share("host.compute.bandwidth_efficiency", compute.bandwidth_efficiency);
  check.share("host.compute.compute_efficiency", compute.compute_efficiency);
  check.cost("host.compute.fixed", compute.fixed);
  for (const auto& [format, own] : compute.formats) {
    check.share(("host.compute.formats." + format + ".bandwidth_efficiency").c_str(), own.bandwidth);
    check.share(("host.compute.formats." + format + ".compute_efficiency").c_str(), own.compute);
  }
}

void validate(const SsdSpec& ssd, const std::string& where) {
  const Checker check{where};
  check.size("ssd.capacity", ssd.capacity, 1e6);
  check.rate("ssd.read_bandwidth", ssd.read_bandwidth);
  check.cost("ssd.latency", ssd.latency);
}

void validate(const MachineSpec& machine, const std::string& where) {
  const Checker check{where};
  const GpuSpec& gpu = machine.gpu;
  check.size("gpu.memory", gpu.memory, 1e6);
  check.size("gpu.reserved", gpu.reserved, 0);
  if (gpu.reserved >= gpu.memory) throw InputError(where, "gpu.reserved leaves nothing of gpu.memory");
  check.rate("gpu.memory_bandwidth", gpu.memory_bandwidth);
  check.share("gpu.memory_efficiency", gpu.memory_efficiency);
  check.share("gpu.compute_efficiency", gpu.compute_efficiency);
  check.rate("gpu.device_copy_bandwidth", gpu.device_copy_bandwidth);
  check.between("gpu.sm_count", gpu.sm_count, 1, 100'000, "the number of multiprocessors");
  if (!gpu.rates.contains("fp32"))
    throw InputError(where, "gpu.rates.fp32 is missing", "every precision falls back to it");
  for (const auto& [precision, rate] : gpu.rates) {
    if (std::find(precisions.begin(), precisions.end(), precision) == precisions.end()) {
      throw InputError(where, "gpu.rates: unknown precision '" + printable(precision) + "'",
                       suggest(precision, precisions));
    }
    check.flops("gpu.rates." + precision, rate);
  }
  check.between("gpu.grouped_gemm_tile_rows", gpu.grouped_gemm_tile_rows, 0, 65'536,
                "0 (off) or rows of a tile");
  check.between("gpu.grouped_gemm_tile_columns", gpu.grouped_gemm_tile_columns, 0, 65'536,
                "0 or columns of a tile");
  if ((gpu.grouped_gemm_tile_rows > 0) != (gpu.grouped_gemm_tile_columns > 0)) {
    throw InputError(where, "gpu.grouped_gemm_tile_rows and gpu.grouped_gemm_tile_columns go together");
  }
  check.share("gpu.grouped_gemm_efficiency", gpu.grouped_gemm_efficiency);

  check.link("link.h2d", machine.h2d);
  check.link("link.d2h", machine.d2h);

  validate(machine.host, where);
  validate(machine.ssd, where);

  check.cost("overhead.step", machine.overhead.step);
  check.cost("overhead.dense_layer", machine.overhead.dense_layer);
  check.cost("overhead.attention", machine.overhead.attention);
  check.cost("overhead.gate", machine.overhead.gate);
  check.cost("overhead.gate_readback", machine.overhead.gate_readback);
  check.cost("overhead.experts", machine.overhead.experts);
  check.cost("overhead.device_copy", machine.overhead.device_copy);

  check.points("expert_kernel_table", machine.expert_kernel_table);
  for (const KernelTimes& times : machine.kernel_times) check.kernel_times(times);
  if (gpu.host_memory_traffic.value != 0) check.rate("gpu.host_memory_traffic", gpu.host_memory_traffic);

  check.between("measured_spread", machine.measured_spread, 0, 1000, "a share, 0 or more");
  static const std::array known = {"datasheet", "fitted", "measured"};
  if (std::find(known.begin(), known.end(), machine.calibration) == known.end()) {
    throw InputError(where, "calibration is '" + printable(machine.calibration) + "'",
                     "valid: datasheet, fitted, measured");
  }
  if (machine.calibration != "datasheet" && machine.calibration_source.empty()) {
    throw InputError(
        where, "calibration_source is missing",
        "a '" + machine.calibration + "' machine names the rows or the run its constants come from");
  }
}

}  // namespace pregate
