// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/schedule/schedule.hpp"
#include "tests/support/one_gpu.hpp"

namespace pregate::sim::test {

inline constexpr BytesPerSecond gb_per_s(double value) { return {value * 1e9}; }
inline constexpr Picoseconds us(std::int64_t value) { return {value * 1'000'000}; }

/// Work of fixed length.
inline Operation work(StreamId stream, Picoseconds fixed, OpKind kind = OpKind::attention) {
  Operation operation;
  operation.kind = kind;
  operation.stream = stream;
  operation.fixed = fixed;
  return operation;
}

/// A copy: `latency`, then `bytes` at no more than `rate` through `resources`.
inline Operation copy(StreamId stream, Picoseconds latency, std::int64_t bytes, BytesPerSecond rate,
                      ResourceSet resources) {
  Operation operation = work(stream, latency, OpKind::fetch);
  operation.bytes = {bytes};
  operation.rate = rate;
  operation.resources = resources;
  return operation;
}

inline Platform platform_with(ResourceId resource, BytesPerSecond capacity) {
  Platform platform = one_gpu::platform();
  platform[resource].capacity = capacity;
  return platform;
}

}  // namespace pregate::sim::test
