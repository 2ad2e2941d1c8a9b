// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "models/units.hpp"

namespace pregate::sim {

/// What an operation does. The order is that of reports and of the exported schedule.
enum class OpKind : std::uint8_t {
  step_overhead,  ///< fixed cost of a forward pass (sampling, framework)
  dense_layer,    ///< a whole transformer layer without MoE
  attention,      ///< norms and attention of a layer with MoE
  gate,           ///< router of a MoE layer
  gate_readback,  ///< blocking copy of the chosen ids to the host
  experts,        ///< permute, expert GEMMs, combine; shared experts
  head,           ///< final norm and output projection
  fetch,          ///< copy of expert weights, host to device
  write_back,     ///< copy of expert weights, device to host
  device_copy,    ///< copy inside the device, slot to working buffer
  activations,    ///< copy of a layer's activations to the host, or of what the CPU computed of them back
  cpu_experts,    ///< experts computed by the CPU
  combine,        ///< adds what the CPU computed to what the GPU did
};
inline constexpr int op_kind_count = 13;
const char* to_string(OpKind kind);
std::optional<OpKind> op_kind_named(std::string_view name);

/// Streams run their operations in order, one at a time.
enum class StreamId : std::uint8_t { compute, h2d, d2h, host, ssd, cpu };
inline constexpr int stream_count = 6;
const char* to_string(StreamId stream);
std::optional<StreamId> stream_named(std::string_view name);

/// Shared resources: flows that use one share its bandwidth max-min fairly.
enum class ResourceId : std::uint8_t { link_h2d, link_d2h, host_memory, ssd };
inline constexpr int resource_count = 4;
const char* to_string(ResourceId resource);
std::optional<ResourceId> resource_named(std::string_view name);
constexpr std::uint32_t bit(ResourceId resource) { return 1U << static_cast<unsigned>(resource); }

using OpId = std::int64_t;  ///< issue order, from 0
inline constexpr OpId no_op = -1;

/// One operation. It starts when its stream is free and its dependencies are done; it then holds its stream
/// for `fixed` and after that until its `bytes` have passed. Alone, that takes fixed + time_at(bytes, rate);
/// with other flows on its resources it gets at most `rate`, by max-min fairness. bytes == 0: no flow, only
/// `fixed`. Durations of compute include its own overheads.
struct Operation {
  OpKind kind = OpKind::attention;
  StreamId stream = StreamId::compute;
  std::uint8_t priority = 0;  ///< 0 goes first, where the stream is ordered by priority
  std::uint16_t stack = 0;
  std::int32_t layer = -1;
  std::int32_t expert = -1;  ///< fetched expert; -1 for operations on several or none
  std::int32_t slot = -1;    ///< expert slot written (fetch) or -1
  std::int32_t count = 0;    ///< experts activated (experts), else 0
  std::int64_t step = 0;     ///< global step number
  std::int32_t tokens = 0;
  Picoseconds fixed;
  Bytes bytes;
  BytesPerSecond rate;          ///< > 0 when bytes > 0
  std::uint32_t resources = 0;  ///< set of bit(ResourceId) that the flow occupies

  bool operator==(const Operation&) const = default;
};

/// Time of the operation on idle resources: fixed + time_at(bytes, rate). Does not look at capacities: where
/// a resource carries less than `rate`, the operation is throttled by it even alone.
Picoseconds unloaded_duration(const Operation& operation);

/// What is wrong with the operation by itself, or nullptr: kind, stream or resources out of range, negative
/// `fixed` or `bytes`, or bytes without a finite positive rate.
const char* defect_of(const Operation& operation);

}  // namespace pregate::sim
