// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/measured/machine_toml.hpp"

#include <cstdio>

#include "models/units.hpp"

namespace pregate::validation {

namespace {

std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// A TOML basic string. Control characters cannot be in it: they are left out.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) result += c;
  }
  return result + "\"";
}

std::string rate(BytesPerSecond value) { return quoted(digits(value.value / 1e9) + " GB/s"); }
std::string flops(FlopPerSecond value) { return quoted(digits(value.value / 1e12) + " TFLOP/s"); }
std::string time(Picoseconds value) { return quoted(digits(value.seconds() * 1e6) + " us"); }
std::string size(Bytes value) { return quoted(std::to_string(value.count) + " B"); }

class Writer {
 public:
  void section(const std::string& name) { text_ += "\n[" + name + "]\n"; }
  void repeated(const std::string& name) { text_ += "\n[[" + name + "]]\n"; }
  void key(const std::string& name, const std::string& value) { text_ += name + " = " + value + "\n"; }
  void line(const std::string& line) { text_ += line + "\n"; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void write_link(Writer& out, const std::string& name, const LinkSpec& link) {
  out.section("link." + name);
  out.key("bandwidth", rate(link.bandwidth));
  out.key("latency", time(link.latency));
  out.key("per_copy", time(link.per_copy));
  out.key("pageable_bandwidth", rate(link.pageable_bandwidth));
  if (link.table.empty()) return;
  out.line("table = [");
  for (const CopyPoint& point : link.table)
    out.line("  { size = " + size(point.size) + ", rate = " + rate(point.rate) + " },");
  out.line("]");
}

std::string tokens(int count) { return "  { tokens = " + std::to_string(count); }

void write_table(Writer& out, const std::vector<ExpertKernelPoint>& points) {
  if (points.empty()) return;
  out.line("expert_kernel_table = [");
  for (const ExpertKernelPoint& point : points) {
    out.line(tokens(point.tokens) + ", activated_experts = " + std::to_string(point.activated_experts) +
             ", time = " + time(point.time) + " },");
  }
  out.line("]");
}

void write_times(Writer& out, const KernelTimes& times) {
  out.repeated("kernel_times");
  out.key("operation", quoted(times.key.operation));
  out.key("precision", quoted(times.key.precision));
  std::string work;
  for (const std::int64_t value : times.key.work) work += (work.empty() ? "" : ", ") + std::to_string(value);
  out.key("work", "[" + work + "]");
  if (times.fixed.count > 0) out.key("fixed", time(times.fixed));
  out.line("points = [");
  for (const KernelPoint& point : times.points)
    out.line(tokens(point.tokens) + ", time = " + time(point.time) + " },");
  out.line("]");
}

}  // namespace

std::string to_toml(const MachineSpec& machine,
                    const std::vector<std::pair<std::string, std::string>>& sources,
                    const std::vector<std::string>& comments) {
  Writer out;
  for (const std::string& comment : comments) out.line("# " + comment);
  out.key("description", quoted(machine.description));
  out.key("source", quoted(machine.source));
  out.key("calibration", quoted(machine.calibration));
  out.key("calibration_source", quoted(machine.calibration_source));
  out.key("measured_device", quoted(machine.measured_device));
  out.key("measured_spread", digits(machine.measured_spread));
  write_table(out, machine.expert_kernel_table);

  const GpuSpec& gpu = machine.gpu;
  out.section("gpu");
  out.key("name", quoted(gpu.name));
  out.key("memory", size(gpu.memory));
  out.key("reserved", size(gpu.reserved));
  out.key("memory_bandwidth", rate(gpu.memory_bandwidth));
  out.key("memory_efficiency", digits(gpu.memory_efficiency));
  out.key("compute_efficiency", digits(gpu.compute_efficiency));
  out.key("device_copy_bandwidth", rate(gpu.device_copy_bandwidth));
  out.key("sm_count", std::to_string(gpu.sm_count));
  if (gpu.host_memory_traffic.value > 0) out.key("host_memory_traffic", rate(gpu.host_memory_traffic));
  if (gpu.grouped_gemm_tile_rows > 0) {
    out.key("grouped_gemm_tile_rows", std::to_string(gpu.grouped_gemm_tile_rows));
    out.key("grouped_gemm_tile_columns", std::to_string(gpu.grouped_gemm_tile_columns));
    out.key("grouped_gemm_efficiency", digits(gpu.grouped_gemm_efficiency));
  }
  out.section("gpu.rates");
  for (const auto& [precision, value] : gpu.rates) out.key(precision, flops(value));
  write_link(out, "h2d", machine.h2d);
  write_link(out, "d2h", machine.d2h);
  out.section("host");
  out.key("cpu", quoted(machine.host.cpu));
  out.key("cores", std::to_string(machine.host.cores));
  out.key("memory", size(machine.host.memory));
  out.key("memory_bandwidth", rate(machine.host.memory_bandwidth));
  out.key("rate", flops(machine.host.rate));
  out.section("ssd");
  out.key("capacity", size(machine.ssd.capacity));
  out.key("read_bandwidth", rate(machine.ssd.read_bandwidth));
  out.key("latency", time(machine.ssd.latency));
  const OverheadSpec& o = machine.overhead;
  out.section("overhead");
  out.key("step", time(o.step));
  out.key("dense_layer", time(o.dense_layer));
  out.key("attention", time(o.attention));
  out.key("gate", time(o.gate));
  out.key("gate_readback", time(o.gate_readback));
  out.key("experts", time(o.experts));
  out.key("device_copy", time(o.device_copy));
  for (const KernelTimes& times : machine.kernel_times) write_times(out, times);
  out.section("sources");
  for (const auto& [key, source] : sources) out.key(quoted(key), quoted(source));
  return out.take();
}

}  // namespace pregate::validation
