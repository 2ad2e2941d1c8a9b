// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/schedule/operation.hpp"

#include <array>
#include <cmath>
#include <cstddef>

namespace pregate::sim {
namespace {

constexpr std::array<const char*, op_kind_count> kind_names{
    "step_overhead", "dense_layer", "attention",    "gate",         "gate_readback", "experts",
    "head",          "fetch",       "write_back",   "device_copy",  "activations",   "cpu_experts",
    "combine",       "drive_read",  "predict",      "host_predict", "read_through",  "exchange",
    "kv_load",       "kv_store",    "cpu_attention"};

template <std::size_t n>
const char* name_at(const std::array<const char*, n>& names, std::size_t index) {
  return index < n ? names.at(index) : "?";
}

template <typename Enum, std::size_t n>
std::optional<Enum> named(const std::array<const char*, n>& names, std::string_view name) {
  for (std::size_t i = 0; i < n; ++i) {
    if (name == names.at(i)) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

const char* to_string(OpKind kind) { return name_at(kind_names, static_cast<std::size_t>(kind)); }

std::optional<OpKind> op_kind_named(std::string_view name) { return named<OpKind>(kind_names, name); }

Picoseconds unloaded_duration(const Operation& operation) {
  if (operation.bytes.count == 0) return operation.fixed;
  return operation.fixed + time_at(operation.bytes, operation.rate);
}

const char* defect_of(const Operation& operation, const Platform& platform) {
  if (static_cast<int>(operation.kind) >= op_kind_count) return "unknown kind";
  if (number_of(operation.stream) >= platform.streams.size()) return "unknown stream";
  const ResourceSet known = platform.resources.size() == most_resources
                                ? ~ResourceSet{0}
                                : (ResourceSet{1} << platform.resources.size()) - 1;
  if ((operation.resources & ~known) != 0) return "unknown resource";
  if (operation.fixed.count < 0) return "negative fixed time";
  if (operation.bytes.count < 0) return "negative bytes";
  if (operation.bytes.count > 0 && !(std::isfinite(operation.rate.value) && operation.rate.value >= 0)) {
    return "bytes need a finite rate above zero";
  }
  return nullptr;
}

}  // namespace pregate::sim
