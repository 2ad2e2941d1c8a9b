// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/calibration/calibrate.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "models/catalog.hpp"
#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "runtime/host/system_memory.hpp"
#include "validation/calibration/copy_table.hpp"
#include "validation/calibration/cpu_probe.hpp"
#include "validation/calibration/kernel_probe.hpp"
#include "validation/calibration/link_probe.hpp"

namespace pregate::validation {

namespace {

SpreadLine spread_line(const std::string& what, const std::vector<RateSample>& samples) {
  std::vector<double> spreads;
  spreads.reserve(samples.size());
  for (const RateSample& sample : samples) spreads.push_back(sample.spread);
  return {what, static_cast<int>(spreads.size()), median(spreads),
          spreads.empty() ? 0 : *std::max_element(spreads.begin(), spreads.end())};
}

std::vector<CopyPoint> table_of(const std::vector<RateSample>& samples) {
  std::vector<CopyPoint> table;
  table.reserve(samples.size());
  for (const RateSample& sample : samples) table.push_back({sample.size, sample.rate});
  return table;
}

/// A point that was measured where it matters replaces what neighbours would say.
void insert(std::vector<CopyPoint>& table, CopyPoint point) {
  const auto at = std::lower_bound(table.begin(), table.end(), point.size,
                                   [](const CopyPoint& p, Bytes size) { return p.size < size; });
  if (at != table.end() && at->size == point.size) {
    *at = point;
  } else {
    table.insert(at, point);
  }
}

LinkSpec link_of(const std::vector<RateSample>& samples, BytesPerSecond pageable) {
  LinkSpec link;
  link.bandwidth = samples.back().rate;
  link.pageable_bandwidth = pageable;
  link.table = table_of(samples);
  return link;
}

/// What users will want to know of their machine beside the keys that price something.
std::vector<std::string> findings_of(const LinkProbe& links, const Interference& seen) {
  char slowdown[64];
  std::snprintf(slowdown, sizeof slowdown, "%.2f times as long", seen.kernel_slowdown);
  return {"copies of " + to_string(links.both_size) + " both ways at once: " + to_string(links.h2d_both) +
              " to the device, " + to_string(links.d2h_both) + " to the host",
          "copies of an expert beside kernels: " + to_string(seen.copy_beside_kernels) + ", alone " +
              to_string(seen.copy_alone) + "; kernels beside copies take " + slowdown};
}

void note_pooled(const std::string& direction, int points, std::vector<std::string>& findings) {
  if (points == 0) return;
  findings.push_back(
      "copies " + direction + ": " + std::to_string(points) +
      " sizes had been measured out of order (a larger copy took less time): they share the mean "
      "of their times");
}

/// The bus that kernels and copies share, by max-min fairness between one flow of each (docs/calibration.md).
void set_interference(MachineSpec& machine, const Interference& seen, BytesPerSecond host_copy) {
  const double beside = seen.copy_beside_kernels.value, alone = seen.copy_alone.value;
  constexpr double noticeable = 1.05;
  if (seen.kernel_slowdown < noticeable && alone < noticeable * beside) {
    machine.host.memory_bandwidth = {std::max(2 * host_copy.value, 2 * alone)};
    return;
  }
  machine.gpu.host_memory_traffic = {beside * seen.kernel_slowdown};
  machine.host.memory_bandwidth = {std::max(2 * beside, alone)};
}

/// Times of the experts of `model` in another format; all else is as with its own.
void add_experts_in(const std::string& format, runtime::Device& device, const ModelSpec& model,
                    const CalibrationOptions& options, double seconds, Calibration& result) {
  ModelSpec low = model;
  store_experts_as(low, format, "--low-weights");
  OperationProbe probe = probe_operations(device, low, options.most_tokens, options.experts, seconds);
  for (KernelTimes& times : probe.times) {
    if (times.key.operation == "experts") result.machine.kernel_times.push_back(std::move(times));
  }
  for (SpreadLine& line : probe.spreads) {
    if (line.what != "experts") continue;
    line.what += " in " + format;
    result.spreads.push_back(std::move(line));
  }
}

}  // namespace

MachineSpec unmeasured_machine(const runtime::Device& device) {
  const runtime::DeviceInfo& info = device.info();
  MachineSpec machine = load_machine("a100-40g-pcie4");
  machine.name = info.kind + " device";
  machine.description = info.name;
  machine.source = "the device's own description; rates are those of another machine";
  machine.measured_device = {};
  machine.gpu.name = info.name;
  machine.gpu.memory = info.memory;
  machine.gpu.reserved = {};
  machine.gpu.sm_count = std::max(1, info.compute_units);
  machine.host.memory = runtime::system_memory().total;
  return machine;
}

Calibration calibrate(runtime::Device& device, const ModelSpec& model, const CalibrationOptions& options) {
  const auto stage = [&](const char* text) {
    if (options.progress) options.progress(text);
  };
  const runtime::DeviceInfo& info = device.info();
  Calibration result;
  MachineSpec& machine = result.machine;
  machine = unmeasured_machine(device);
  machine.calibration = "measured";
  machine.measured_device = info.name;
  machine.calibration_source = "measured for " + model.name + " in " + model.expert_format.name;
  machine.source = "pregate calibrate on " + info.kind + " device " + info.name;

  stage("links");
  const LinkProbe links = probe_links(device, options.seconds * 0.25, options.experts.directory);
  machine.h2d = link_of(links.h2d, links.pageable);
  machine.d2h = link_of(links.d2h, links.pageable);
  machine.gpu.device_copy_bandwidth = links.device_copy;
  result.spreads.push_back(spread_line("copies host to device", links.h2d));
  result.spreads.push_back(spread_line("copies device to host", links.d2h));

  stage("arithmetic");
  const ArithmeticProbe arithmetic = probe_arithmetic(device, model, options.seconds * 0.1);
  machine.gpu.memory_bandwidth = arithmetic.memory_bandwidth;
  machine.gpu.memory_efficiency = machine.gpu.compute_efficiency = 1;  // achieved, not nominal
  machine.gpu.rates = arithmetic.rates;
  machine.host.rate = arithmetic.rates.at("fp32");
  machine.host.cpu = info.kind == "host" ? info.name : "not measured";
  machine.host.cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const bool reads_files = !options.experts.directory.empty();
  if (reads_files) {  // a drive writes to memory at a fraction of its bandwidth: kernels do not notice
    machine.host.memory_bandwidth = {2 * links.host_copy.value};
  } else {
    set_interference(machine, arithmetic.interference, links.host_copy);
    result.findings = findings_of(links, arithmetic.interference);
  }
  result.spreads.push_back(
      {"kernels beside copies", 2, arithmetic.interference.spread, arithmetic.interference.spread});

  stage("operations");
  const OperationProbe operations =
      probe_operations(device, model, options.most_tokens, options.experts, options.seconds * 0.55);
  machine.kernel_times = operations.times;
  machine.overhead = operations.overhead;
  insert(machine.h2d.table, {operations.expert_bytes, operations.fetch_rate});
  note_pooled("host to device", make_times_grow(machine.h2d.table, operations.expert_bytes), result.findings);
  note_pooled("device to host", make_times_grow(machine.d2h.table), result.findings);
  result.spreads.insert(result.spreads.end(), operations.spreads.begin(), operations.spreads.end());
  for (const std::string& format : options.low_formats) {
    stage("operations in a second format");
    add_experts_in(format, device, model, options, options.seconds * 0.3, result);
  }

  // Of experts on a drive the CPU computes none.
  if (!reads_files) {
    stage("experts on the CPU");
    const CpuProbe cpu =
        probe_cpu(device, model, options.most_tokens, options.experts, options.seconds * 0.1);
    const Stack& last = model.stacks.back();
    for (const LayerProfile& layer : model.profile(last)) {
      if (layer.moe) set_cpu(machine, cpu.fit, layer.expert, layer.expert_flop_per_token);
    }
    result.spreads.insert(result.spreads.end(), cpu.spreads.begin(), cpu.spreads.end());
  }

  if (reads_files) machine.ssd.read_bandwidth = operations.fetch_rate;
  const std::string ssd = reads_files ? "measured: an expert's fetch; the rest is an estimate"
                                      : "estimate, not measured: a typical PCIe 4.0 x4 NVMe drive";
  const std::string copies = reads_files
                                 ? "measured: queues of reads of one size from a file, past the page cache"
                                 : "measured: queues of pinned copies of one size, buffers rotated";
  for (const SpreadLine& line : result.spreads) result.noise = std::max(result.noise, line.median_spread);
  machine.measured_spread = result.noise;
  result.sources = {
      {"link.h2d.table", copies + ", median; the point at " + to_string(operations.expert_bytes) +
                             " is an expert's fetch in an on-demand run"},
      {"link.d2h.table", "measured: as link.h2d.table"},
      {"link.h2d.pageable_bandwidth", "measured: a host copy into a pinned buffer, then the pinned copy"},
      {"gpu.memory_bandwidth", "measured: bytes of weights a second in products with one row"},
      {"gpu.rates", "measured: products of 1024 and more rows; achieved, so the efficiencies are 1"},
      {"gpu.device_copy_bandwidth", "measured: one direction"},
      {"host.memory_bandwidth",
       "measured: from what copies and kernels make of each other (docs/calibration.md)"},
      {"host.compute", reads_files ? "estimate, not measured: the experts were on a drive"
                                   : "measured: runs of " + model.name +
                                         " in which the CPU computes every expert; achieved, so the "
                                         "efficiencies are 1"},
      {"overhead", "measured: on-demand runs of " + model.name + " through the runtime, one token"},
      {"ssd", ssd}};
  return result;
}

}  // namespace pregate::validation
