// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "models/units.hpp"
#include "sim/platform/platform.hpp"

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
  combine,        ///< adds what was computed elsewhere to what the GPU did
  drive_read,     ///< an expert's weights, drive to host
  predict,        ///< a predictor on the GPU, before what it announces is copied
  host_predict,   ///< the same on the CPU
  read_through,   ///< experts whose weights the kernel reads over the link
  exchange,       ///< what GPUs that share layers send each other, all at once: each is then done
  kv_load,        ///< copy of a layer's cached keys and values, host to device, before attention reads them
  kv_store,       ///< copy of new keys and values, device to host
  cpu_attention,  ///< attention over keys and values in the host's memory, computed by the CPU
};
inline constexpr int op_kind_count = 21;
const char* to_string(OpKind kind);
std::optional<OpKind> op_kind_named(std::string_view name);

using OpId = std::int64_t;  ///< issue order, from 0
inline constexpr OpId no_op = -1;

/// One operation. It starts when its stream is free and its dependencies are done; it then holds its stream
/// for `fixed` and after that until its `bytes` have passed. Alone, that takes fixed + time_at(bytes, rate);
/// with other flows on its resources it gets at most `rate`, by max-min fairness. bytes == 0: no flow, only
/// `fixed`. Durations of compute include its own overheads.
struct Operation {
  OpKind kind = OpKind::attention;
  StreamId stream{};
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
  BytesPerSecond rate;        ///< > 0 when bytes > 0; 0 then: not known, as of what a device measured
  ResourceSet resources = 0;  ///< that the flow occupies

  bool operator==(const Operation&) const = default;
};

/// Whether the operation says how long it takes; what a device measured does not, save by its timeline.
[[nodiscard]] inline bool is_priced(const Operation& operation) {
  return operation.bytes.count == 0 || operation.rate.value > 0;
}

/// Of a priced operation. Time of the operation on idle resources: fixed + time_at(bytes, rate). Does not
/// look at capacities: where a resource carries less than `rate`, the operation is throttled by it even
/// alone.
Picoseconds unloaded_duration(const Operation& operation);

/// What is wrong with the operation by itself, or nullptr: kind out of range, stream or resources that the
/// platform lacks, negative `fixed` or `bytes`, or a rate of its bytes that is negative or
/// not finite.
const char* defect_of(const Operation& operation, const Platform& platform);

}  // namespace pregate::sim
