// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/seam.hpp"

#include <memory>
#include <string>

#include "tests/standin/runtime/runtime.hpp"

using namespace pregate::standin;

namespace {

thread_local int t_gemm_device = 0;  // of the product that this thread computes

}  // namespace

STANDIN_API int standin_count_call(const char* name) {
  return runtime().failures.count(name).value_or(cudaSuccess);
}

STANDIN_API void standin_report(const char* kind, const char* text) { runtime().reports.add(kind, text); }

STANDIN_API bool standin_is_stream(cudaStream_t stream) { return stream_of(stream, "cuBLAS") != nullptr; }

STANDIN_API cudaError_t standin_submit_gemm(cudaStream_t handle, const char* name, double operations,
                                            bool (*run)(void*, void*), void (*drop)(void*), void* context) {
  const std::shared_ptr<void> owned(context, drop);
  Runtime& device = runtime();
  CUstream_st* stream = stream_of(handle, name);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (device.engine.is_stopped()) return cudaErrorIllegalAddress;
  if (stream->device != current_device()) {
    device.reports.add("device", std::string(name) + ": its stream is of device " +
                                     std::to_string(stream->device) + ", the current one is " +
                                     std::to_string(current_device()));
    return cudaErrorInvalidResourceHandle;
  }
  Request request;
  request.kind = OperationKind::gemm;
  request.name = name;
  request.duration_us = device.engine.timeline().gemm_duration_us(operations);
  request.work = [owned, run, on = stream->device]() -> std::vector<Range> {
    t_gemm_device = on;
    TouchedRanges touched;
    if (!run(owned.get(), &touched)) throw ptx::KernelFault();
    return touched.take();
  };
  device.engine.submit(stream, std::move(request));
  return cudaSuccess;
}

STANDIN_API void standin_touch(void* touched, const Range* range) {
  static_cast<TouchedRanges*>(touched)->add(range->low, range->high - range->low, range->write);
}

STANDIN_API std::byte* standin_resolve(std::uintptr_t address, std::size_t size, bool write,
                                       const char* who) {
  Runtime& device = runtime();
  const ptx::Resolved resolved = device.memory.resolve(address, size, write, t_gemm_device);
  if (!resolved.problem.empty()) {
    device.reports.add(resolved.kind, std::string(who) + (write ? ": write of " : ": read of ") +
                                          std::to_string(size) + " bytes: " + resolved.problem);
  }
  return resolved.data;
}
