// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "models/model.hpp"
#include "models/readers.hpp"
#include "models/table_reader.hpp"

namespace pregate {
namespace {

int small_integer(TableReader& table, const char* key, int least, int most, int fallback) {
  return static_cast<int>(table.integer_or(key, least, most, fallback));
}

GpuSpec read_gpu(TableReader table) {
  GpuSpec gpu;
  gpu.name = table.text("name");
  gpu.memory = table.bytes("memory");
  gpu.reserved = table.bytes("reserved");
  gpu.memory_bandwidth = table.byte_rate("memory_bandwidth");
  gpu.memory_efficiency = table.number_or("memory_efficiency", 1);
  gpu.compute_efficiency = table.number_or("compute_efficiency", 1);
  gpu.device_copy_bandwidth = table.byte_rate("device_copy_bandwidth");
  gpu.sm_count = static_cast<int>(table.integer("sm_count", 1, 100'000));
  gpu.grouped_gemm_tile_rows = small_integer(table, "grouped_gemm_tile_rows", 0, 65'536, 0);
  gpu.grouped_gemm_tile_columns = small_integer(table, "grouped_gemm_tile_columns", 0, 65'536, 0);
  gpu.grouped_gemm_efficiency = table.number_or("grouped_gemm_efficiency", 1);
  if (table.has("host_memory_traffic")) gpu.host_memory_traffic = table.byte_rate("host_memory_traffic");
  TableReader rates = table.table("rates");
  for (const std::string& precision : precision_names()) {
    if (rates.has(precision)) gpu.rates[precision] = rates.flop_rate(precision);
  }
  rates.finish();
  table.finish();
  return gpu;
}

LinkSpec read_link(TableReader table) {
  LinkSpec link;
  link.bandwidth = table.byte_rate("bandwidth");
  link.latency = table.duration("latency");
  link.per_copy = table.duration("per_copy");
  link.pageable_bandwidth = table.byte_rate("pageable_bandwidth");
  for (TableReader& point : table.tables("table")) {
    link.table.push_back({point.bytes("size"), point.byte_rate("rate")});
    point.finish();
  }
  table.finish();
  return link;
}

OverheadSpec read_overhead(TableReader table) {
  OverheadSpec overhead;
  overhead.step = table.duration("step");
  overhead.dense_layer = table.duration("dense_layer");
  overhead.attention = table.duration("attention");
  overhead.gate = table.duration("gate");
  overhead.gate_readback = table.duration("gate_readback");
  overhead.experts = table.duration("experts");
  overhead.device_copy = table.duration("device_copy");
  table.finish();
  return overhead;
}

int read_tokens(TableReader& point) { return static_cast<int>(point.integer("tokens", 1, 1'000'000'000)); }

std::vector<ExpertKernelPoint> read_points(std::vector<TableReader> tables) {
  std::vector<ExpertKernelPoint> points;
  for (TableReader& point : tables) {
    const int tokens = read_tokens(point);
    const auto experts = static_cast<int>(point.integer("activated_experts", 1, 1'000'000));
    points.push_back({tokens, experts, point.duration("time")});
    point.finish();
  }
  std::sort(points.begin(), points.end(), [](const ExpertKernelPoint& a, const ExpertKernelPoint& b) {
    return std::pair(a.tokens, a.activated_experts) < std::pair(b.tokens, b.activated_experts);
  });
  return points;
}

KernelTimes read_times(TableReader& table) {
  KernelTimes times;
  times.key.operation = table.text("operation");
  const std::vector<std::string> known = kernel_operations();
  if (std::find(known.begin(), known.end(), times.key.operation) == known.end()) {
    throw InputError(table.where("operation"), "'" + printable(times.key.operation) + "' is not an operation",
                     suggest(times.key.operation, known));
  }
  times.key.precision = table.text("precision");
  const Node* work = table.find("work");
  if (work == nullptr || work->kind != Node::Kind::array || work->items.empty() || work->items.size() > 8)
    throw InputError(table.where("work"), "must be a list of numbers", "as pregate calibrate writes it");
  for (const Node& item : work->items) {
    if (item.kind != Node::Kind::integer || item.integer < 0)
      throw InputError(item.where, "work: every number must be whole and not negative", "");
    times.key.work.push_back(item.integer);
  }
  for (TableReader& point : table.tables("points")) {
    const int tokens = read_tokens(point);
    times.points.push_back({tokens, point.duration("time")});
    point.finish();
  }
  std::sort(times.points.begin(), times.points.end(),
            [](const KernelPoint& a, const KernelPoint& b) { return a.tokens < b.tokens; });
  if (table.find("fixed") != nullptr) times.fixed = table.duration("fixed");
  if (times.points.empty())
    throw InputError(table.where("points"), "a table without points", "leave the whole table out");
  table.finish();
  return times;
}

}  // namespace

MachineSpec read_machine(const Node& root, const std::string& name) {
  MachineSpec machine;
  machine.name = name;
  TableReader top(root, "");
  machine.description = top.text_or("description", "");
  machine.source = top.text_or("source", "");
  machine.calibration = top.text_or("calibration", machine.calibration);
  machine.calibration_source = top.text_or("calibration_source", "");
  machine.gpu = read_gpu(top.table("gpu"));
  TableReader link = top.table("link");
  machine.h2d = read_link(link.table("h2d"));
  machine.d2h = read_link(link.table("d2h"));
  link.finish();
  machine.host = read_host(top.table("host"));
  machine.ssd = read_ssd(top.table("ssd"));
  machine.overhead = read_overhead(top.table("overhead"));
  machine.measured_device = top.text_or("measured_device", "");
  machine.measured_spread = top.number_or("measured_spread", 0);
  machine.expert_kernel_table = read_points(top.tables("expert_kernel_table"));
  for (TableReader& times : top.tables("kernel_times")) machine.kernel_times.push_back(read_times(times));
  if (auto sources = top.table_if("sources")) {
    check_sources(root, sources->node());
    machine.host.source = host_source(sources->node());
  }
  top.finish();
  validate(machine, root.where);
  return machine;
}

}  // namespace pregate
