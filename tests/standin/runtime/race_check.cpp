// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/race_check.hpp"

#include <algorithm>
#include <optional>

namespace pregate::standin {
namespace {

/// The first address at which two of the ranges conflict.
std::optional<std::uintptr_t> conflict(const std::vector<Range>& a, const std::vector<Range>& b) {
  for (const Range& x : a) {
    for (const Range& y : b) {
      if ((x.write || y.write) && x.low < y.high && y.low < x.high) return std::max(x.low, y.low);
    }
  }
  return std::nullopt;
}

}  // namespace

const char* name_of(OperationKind kind) {
  switch (kind) {
    case OperationKind::host_to_device:
      return "h2d";
    case OperationKind::device_to_host:
      return "d2h";
    case OperationKind::device_to_device:
      return "d2d";
    case OperationKind::peer:
      return "p2p";
    case OperationKind::fill:
      return "memset";
    case OperationKind::kernel:
      return "kernel";
    case OperationKind::gemm:
      return "gemm";
    case OperationKind::host_function:
      return "host";
    case OperationKind::record:
      return "record";
    case OperationKind::wait:
      return "wait";
  }
  return "";
}

std::string described(const Operation& operation) {
  return "'" + operation.request.name + "' (operation " + std::to_string(operation.id) + ", stream " +
         std::to_string(operation.stream_id) + ")";
}

std::string RaceCheck::add(const OperationPointer& operation, const std::vector<Range>& touched,
                           const Memory& memory) {
  if (touched.empty()) return {};
  std::string finding;
  for (const Entry& entry : entries_) {
    if (is_known(*entry.operation, operation->clock) || is_known(*operation, entry.operation->clock))
      continue;
    const auto at = conflict(entry.touched, touched);
    if (!at) continue;
    const auto allocation = memory.find(*at);
    finding = described(*entry.operation) + " and " + described(*operation) +
              " are not ordered and touch the same bytes: " +
              (allocation ? described(*allocation, *at) : "host memory");
    break;
  }
  entries_.push_back({operation, touched});
  return finding;
}

std::string RaceCheck::user_of(const Allocation& allocation, const VectorClock& host) const {
  const std::vector<Range> all = {{allocation.address, allocation.address + allocation.size, true}};
  for (const Entry& entry : entries_) {
    if (!is_known(*entry.operation, host) && conflict(entry.touched, all)) return described(*entry.operation);
  }
  return {};
}

void RaceCheck::forget(const VectorClock& host, const std::vector<OperationPointer>& pending) {
  std::erase_if(entries_, [&](const Entry& entry) {
    return is_known(*entry.operation, host) &&
           std::all_of(pending.begin(), pending.end(), [&](const OperationPointer& operation) {
             return is_known(*entry.operation, operation->clock);
           });
  });
}

}  // namespace pregate::standin
