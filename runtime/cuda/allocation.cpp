// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/allocation.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "runtime/cuda/check.hpp"
#include "runtime/cuda/current_device.hpp"
#include "runtime/host/system_memory.hpp"

namespace pregate::runtime::cuda {

void FreeDevice::operator()(void* data) const noexcept {
  use_device_if_there(device);
  static_cast<void>(cudaDeviceSynchronize());
  static_cast<void>(cudaFree(data));
}

void FreePinned::operator()(void* data) const noexcept {
  use_device_if_there(device);
  static_cast<void>(cudaDeviceSynchronize());
  static_cast<void>(cudaFreeHost(data));
}

MemoryOfDevice memory_of_device(int device) {
  use_device(device);
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), [] { return "cudaMemGetInfo"; });
  return {{static_cast<std::int64_t>(free)}, {static_cast<std::int64_t>(total)}};
}

DeviceAllocation allocate_device(int device, Bytes size, Bytes allowed, const std::string& purpose) {
  if (size > allowed) throw OutOfMemory(purpose, size, allowed);
  use_device(device);
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, static_cast<std::size_t>(size.count));
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw OutOfMemory(purpose, size, std::min(allowed, memory_of_device(device).free));
  }
  check(status, [&] { return "cudaMalloc of " + to_string(size) + " for " + purpose; });
  return {data, FreeDevice{device}};
}

PageLockedAllocation allocate_page_locked(int device, Bytes size, const std::string& purpose) {
  const Bytes available = system_memory().available;
  const std::string in_host = purpose + " in page-locked host memory";
  if (size > available) throw OutOfMemory(in_host, size, available);
  use_device(device);
  void* data = nullptr;
  const cudaError_t status = cudaHostAlloc(&data, static_cast<std::size_t>(size.count), cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw OutOfMemory(in_host, size, available);
  }
  check(status, [&] { return "cudaHostAlloc of " + to_string(size) + " for " + purpose; });
  return {data, FreePinned{device}};
}

}  // namespace pregate::runtime::cuda
