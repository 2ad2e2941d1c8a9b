// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Allocation and what is known of pointers.
#include <cuda_runtime_api.h>

#include "tests/standin/runtime/pointers.hpp"
#include "tests/standin/runtime/runtime.hpp"

using namespace pregate::standin;

namespace {

cudaError_t allocate_pinned(Runtime& runtime, void** pointer, std::size_t size) {
  *pointer = nullptr;
  if (size == 0) return cudaSuccess;
  if (size > (std::size_t{1} << 38)) return cudaErrorMemoryAllocation;
  const auto address = runtime.memory.allocate_pinned(size);
  if (!address) return cudaErrorMemoryAllocation;
  *pointer = pointer_to(*address);
  return cudaSuccess;
}

/// Releasing waits for the device, but does not tell the host that its copies and kernels are over: whoever
/// relies on that is one asynchronous allocator away from a use after free.
cudaError_t release(Runtime& runtime, const void* pointer, MemoryKind kind, const char* who) {
  if (pointer == nullptr) return cudaSuccess;
  runtime.engine.drain();
  const auto released = runtime.memory.release(address_of(pointer), kind);
  if (!released) {
    runtime.reports.add("handle", std::string(who) + ": not the start of a live allocation of this kind");
    return kind == MemoryKind::registered ? cudaErrorHostMemoryNotRegistered : cudaErrorInvalidValue;
  }
  const std::string user = runtime.engine.is_stopped() ? "" : runtime.engine.user_of(*released);
  if (!user.empty()) {
    runtime.reports.add("released-in-use",
                        std::string(who) + ": " + user + " uses it and was not waited for");
  }
  return cudaSuccess;
}

}  // namespace

STANDIN_API cudaError_t cudaMalloc(void** pointer, std::size_t size) {
  return api_call("cudaMalloc", [&](Runtime& runtime) {
    *pointer = nullptr;
    if (size == 0) return cudaSuccess;
    const auto address = runtime.memory.allocate_device(size, MemoryKind::device, current_device());
    if (!address) return cudaErrorMemoryAllocation;
    *pointer = pointer_to(*address);
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaFree(void* pointer) {
  return api_release("cudaFree", [&](Runtime& runtime) {
    return release(runtime, pointer, MemoryKind::device, "cudaFree");
  });
}

STANDIN_API cudaError_t cudaMallocHost(void** pointer, std::size_t size) {
  return api_call("cudaMallocHost",
                  [&](Runtime& runtime) { return allocate_pinned(runtime, pointer, size); });
}

STANDIN_API cudaError_t cudaHostAlloc(void** pointer, std::size_t size, unsigned /*flags*/) {
  return api_call("cudaHostAlloc", [&](Runtime& runtime) { return allocate_pinned(runtime, pointer, size); });
}

STANDIN_API cudaError_t cudaFreeHost(void* pointer) {
  return api_release("cudaFreeHost", [&](Runtime& runtime) {
    return release(runtime, pointer, MemoryKind::pinned, "cudaFreeHost");
  });
}

STANDIN_API cudaError_t cudaHostRegister(void* pointer, std::size_t size, unsigned /*flags*/) {
  return api_call("cudaHostRegister", [&](Runtime& runtime) {
    if (pointer == nullptr || size == 0) return cudaErrorInvalidValue;
    const bool added = runtime.memory.register_host(address_of(pointer), size);
    return added ? cudaSuccess : cudaErrorHostMemoryAlreadyRegistered;
  });
}

STANDIN_API cudaError_t cudaHostUnregister(void* pointer) {
  return api_release("cudaHostUnregister", [&](Runtime& runtime) {
    return release(runtime, pointer, MemoryKind::registered, "cudaHostUnregister");
  });
}

STANDIN_API cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned /*flags*/) {
  return api_call("cudaHostGetDevicePointer", [&](Runtime& runtime) {
    if (!runtime.memory.is_page_locked(address_of(host), 1)) return cudaErrorInvalidValue;
    *device = host;  // unified addressing
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return api_call("cudaMemGetInfo", [&](Runtime& runtime) {
    *free = runtime.memory.limit() - runtime.memory.used(current_device());
    *total = runtime.memory.limit();
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return api_call("cudaPointerGetAttributes", [&](Runtime& runtime) {
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->hostPointer = const_cast<void*>(pointer);
    const auto found = runtime.memory.find(address_of(pointer));
    if (!found || !found->live) return cudaSuccess;
    const bool on_device = found->kind == MemoryKind::device || found->kind == MemoryKind::module;
    attributes->device = on_device ? found->device : 0;
    attributes->type = on_device ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
    attributes->hostPointer = on_device ? nullptr : const_cast<void*>(pointer);
    attributes->devicePointer = const_cast<void*>(pointer);
    return cudaSuccess;
  });
}
