// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <driver_types.h>

#include "tests/standin/runtime/engine.hpp"
#include "tests/standin/runtime/failures.hpp"
#include "tests/standin/runtime/kernels.hpp"
#include "tests/standin/runtime/memory.hpp"
#include "tests/standin/runtime/options.hpp"
#include "tests/standin/runtime/report.hpp"

namespace pregate::standin {

/// The devices of the process. CUDA's interface has no handle for them, so they are found through
/// `runtime()`.
struct Runtime {
  Options options = read_options();
  Reports reports;
  Memory memory{options.memory_bytes};
  Engine engine{options, memory, reports};
  Kernels kernels{memory, engine, reports, options.check_grid_races};
  Failures failures{options.fail};
};

/// Made by the first call; looked over for leaks, and the files written, when the process ends.
Runtime& runtime();

/// The device that this thread has chosen.
int current_device();
void choose_device(int device);

/// The error that cudaGetLastError gives to this thread; returns `error`.
cudaError_t remember(cudaError_t error);
cudaError_t last_error(bool clear);

/// A null or legacy handle means the default stream of the current device. Null, after a report, for an
/// unknown one.
CUstream_st* stream_of(cudaStream_t handle, const char* who);

/// Runs `body` as the API function `name`: counts it, lets it fail when that was asked for, gives the error
/// of an earlier fault when there was one, and keeps the error for cudaGetLastError.
template <class Body>
cudaError_t api_call(const char* name, Body body) {
  Runtime& device = runtime();
  if (const auto injected = device.failures.count(name)) {
    if (device.failures.stays()) device.engine.stop();
    return remember(*injected);
  }
  if (device.engine.is_stopped()) return remember(cudaErrorIllegalAddress);
  const cudaError_t error = body(device);
  if (error == cudaSuccess && device.engine.is_stopped()) return remember(cudaErrorIllegalAddress);
  return error == cudaErrorNotReady ? error : remember(error);
}

/// Likewise for functions that release something: they do so even when they return an error, as CUDA's do.
template <class Body>
cudaError_t api_release(const char* name, Body body) {
  Runtime& device = runtime();
  const auto injected = device.failures.count(name);
  if (injected && device.failures.stays()) device.engine.stop();
  const cudaError_t error = body(device);
  if (injected) return remember(*injected);
  return remember(error == cudaSuccess && device.engine.is_stopped() ? cudaErrorIllegalAddress : error);
}

/// Likewise for functions that wait. When one is made to fail the device counts as lost, as after a real
/// failure.
template <class Body>
cudaError_t api_wait(const char* name, Body body) {
  Runtime& device = runtime();
  if (const auto injected = device.failures.count(name)) {
    device.engine.stop();
    return remember(*injected);
  }
  if (device.engine.is_stopped()) return remember(cudaErrorIllegalAddress);
  const cudaError_t error = body(device);
  return remember(error == cudaSuccess && device.engine.is_stopped() ? cudaErrorIllegalAddress : error);
}

}  // namespace pregate::standin

/// Functions that the libraries export.
#define STANDIN_API extern "C" __attribute__((visibility("default")))
