// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/timeline.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

namespace pregate::standin {
namespace {

/// Device-to-device copies and fills run where kernels do.
std::optional<std::size_t> engine_of(OperationKind kind) {
  switch (kind) {
    case OperationKind::host_to_device:
      return 0;
    case OperationKind::device_to_host:
      return 1;
    case OperationKind::peer:
      return 3;
    case OperationKind::device_to_device:
    case OperationKind::fill:
    case OperationKind::kernel:
    case OperationKind::gemm:
      return 2;
    default:
      return std::nullopt;
  }
}

}  // namespace

void Timeline::place(Operation& operation, double ready_us) {
  host_us_ += rates_.call_us;
  operation.start_us = std::max(host_us_, ready_us);
  const Request& request = operation.request;
  if (const auto engine = engine_of(request.kind)) {
    double& free_us = engine_free_us_.at(static_cast<std::size_t>(operation.device) * engines + *engine);
    operation.start_us = std::max(operation.start_us, free_us);
    free_us = operation.start_us + request.duration_us;
  }
  operation.end_us = operation.start_us + request.duration_us;
  rows_.push_back({operation.id, operation.device, operation.stream_id, request.kind, request.name,
                   request.bytes, operation.start_us, operation.end_us});
}

void Timeline::host_waited(double time_us) { host_us_ = std::max(host_us_, time_us); }

double Timeline::copy_duration_us(OperationKind kind, std::size_t bytes) const {
  const double rate = kind == OperationKind::host_to_device   ? rates_.host_to_device
                      : kind == OperationKind::device_to_host ? rates_.device_to_host
                      : kind == OperationKind::peer           ? rates_.peer
                                                              : rates_.device_to_device;
  return rates_.copy_latency_us + static_cast<double>(bytes) / rate * 1e6;
}

double Timeline::gemm_duration_us(double operations) const {
  return std::max(rates_.kernel_us, operations / rates_.gemm * 1e6);
}

bool Timeline::write(const std::string& path) const {
  nlohmann::json operations = nlohmann::json::array();
  for (const Row& row : rows_) {
    operations.push_back({{"id", row.id},
                          {"device", row.device},
                          {"stream", row.stream},
                          {"kind", name_of(row.kind)},
                          {"name", row.name},
                          {"bytes", row.bytes},
                          {"start_us", row.start_us},
                          {"end_us", row.end_us}});
  }
  const nlohmann::json document = {{"operations", operations}};
  std::ofstream file(path);
  file << document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  file.close();
  return !file.fail();
}

}  // namespace pregate::standin
