// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Copies and fills.
#include <cuda_runtime_api.h>

#include <string>
#include <utility>

#include "tests/standin/runtime/pointers.hpp"
#include "tests/standin/runtime/transfer.hpp"

using namespace pregate::standin;

namespace {

/// The address of `offset` in a device variable; null when the variable has no such bytes.
std::byte* symbol_address(Runtime& runtime, const void* symbol, std::size_t offset, std::size_t size) {
  const Symbol found = runtime.kernels.find_symbol(symbol);
  if (found.address == 0 || offset > found.size || size > found.size - offset) return nullptr;
  return pointer_to(found.address + offset);
}

}  // namespace

STANDIN_API cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                                        cudaStream_t handle) {
  return api_call("cudaMemcpyAsync", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaMemcpyAsync");
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return queue_transfer(runtime, {to, from, size, kind}, stream, /*asynchronous=*/true, "cudaMemcpyAsync");
  });
}

STANDIN_API cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                            std::size_t size, cudaStream_t handle) {
  return api_call("cudaMemcpyPeerAsync", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaMemcpyPeerAsync");
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    for (const auto& [pointer, device] :
         {std::pair{static_cast<const void*>(to), to_device}, {from, from_device}}) {
      if (device < 0 || device >= runtime.options.devices) return cudaErrorInvalidDevice;
      const auto found = runtime.memory.find(address_of(pointer));
      if (!found || found->kind != MemoryKind::device || found->device == device)
        continue;  // looked at below
      runtime.reports.add("device", "cudaMemcpyPeerAsync: " + described(*found, address_of(pointer)) +
                                        " is of device " + std::to_string(found->device) + ", not " +
                                        std::to_string(device));
      return cudaErrorInvalidValue;
    }
    return queue_transfer(runtime, {to, from, size, cudaMemcpyDeviceToDevice}, stream, /*asynchronous=*/true,
                          "cudaMemcpyPeerAsync");
  });
}

STANDIN_API cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind) {
  return api_wait("cudaMemcpy", [&](Runtime& runtime) {
    return queue_transfer(runtime, {to, from, size, kind}, runtime.engine.default_stream(current_device()),
                          /*asynchronous=*/false, "cudaMemcpy");
  });
}

STANDIN_API cudaError_t cudaMemsetAsync(void* to, int value, std::size_t size, cudaStream_t handle) {
  return api_call("cudaMemsetAsync", [&](Runtime& runtime) {
    CUstream_st* stream = stream_of(handle, "cudaMemsetAsync");
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return queue_fill(runtime, to, value, size, stream, "cudaMemsetAsync");
  });
}

STANDIN_API cudaError_t cudaMemset(void* to, int value, std::size_t size) {
  return api_call("cudaMemset", [&](Runtime& runtime) {
    return queue_fill(runtime, to, value, size, runtime.engine.default_stream(current_device()),
                      "cudaMemset");
  });
}

STANDIN_API cudaError_t cudaGetSymbolAddress(void** pointer, const void* symbol) {
  return api_call("cudaGetSymbolAddress", [&](Runtime& runtime) {
    *pointer = symbol_address(runtime, symbol, 0, 0);
    return *pointer == nullptr ? cudaErrorInvalidSymbol : cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, std::size_t size,
                                           std::size_t offset, cudaMemcpyKind kind) {
  return api_wait("cudaMemcpyToSymbol", [&](Runtime& runtime) {
    std::byte* to = symbol_address(runtime, symbol, offset, size);
    if (to == nullptr) return cudaErrorInvalidSymbol;
    return queue_transfer(runtime, {to, from, size, kind}, runtime.engine.default_stream(current_device()),
                          /*asynchronous=*/false, "cudaMemcpyToSymbol");
  });
}

STANDIN_API cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, std::size_t size,
                                             std::size_t offset, cudaMemcpyKind kind) {
  return api_wait("cudaMemcpyFromSymbol", [&](Runtime& runtime) {
    const std::byte* from = symbol_address(runtime, symbol, offset, size);
    if (from == nullptr) return cudaErrorInvalidSymbol;
    return queue_transfer(runtime, {to, from, size, kind}, runtime.engine.default_stream(current_device()),
                          /*asynchronous=*/false, "cudaMemcpyFromSymbol");
  });
}
