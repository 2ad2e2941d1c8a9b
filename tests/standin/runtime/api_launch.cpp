// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Registration, launches and what is known of kernels. The names with two underscores are called by the code
// that nvcc adds to a program.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <vector>

#include "tests/standin/ptx/program.hpp"
#include "tests/standin/runtime/runtime.hpp"

using namespace pregate::standin;

namespace {

struct Configuration {
  LaunchShape shape;
  cudaStream_t stream;
};

thread_local std::vector<Configuration> t_configurations;

cudaError_t launch(Runtime& runtime, RegisteredKernel* kernel, const LaunchShape& shape, void** arguments,
                   cudaStream_t handle) {
  CUstream_st* stream = stream_of(handle, "cudaLaunchKernel");
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
  if (stream->device != current_device()) {
    runtime.reports.add("device", "kernel " + kernel->name + ": its stream is of device " +
                                      std::to_string(stream->device) + ", the current one is " +
                                      std::to_string(current_device()));
    return cudaErrorInvalidResourceHandle;
  }
  return runtime.kernels.launch(*kernel, shape, arguments, stream);
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the names are NVIDIA's
STANDIN_API void** __cudaRegisterFatBinary(void* wrapper) {
  return reinterpret_cast<void**>(runtime().kernels.add_module(wrapper));
}

STANDIN_API void __cudaRegisterFatBinaryEnd(void** /*handle*/) {}

STANDIN_API void __cudaUnregisterFatBinary(void** /*handle*/) {}

STANDIN_API char __cudaInitModule(void** /*handle*/) { return 1; }

STANDIN_API void __cudaRegisterFunction(void** handle, const char* host, char* /*device*/, const char* name,
                                        int /*limit*/, uint3* /*thread*/, uint3* /*block*/,
                                        dim3* /*block_size*/, dim3* /*grid_size*/, int* /*warp*/) {
  runtime().kernels.add_kernel(reinterpret_cast<LoadedModule*>(handle), host, name);
}

STANDIN_API void __cudaRegisterVar(void** handle, char* host, char* /*device*/, const char* name,
                                   int /*external*/, std::size_t /*size*/, int /*constant*/, int /*global*/) {
  runtime().kernels.add_variable(reinterpret_cast<LoadedModule*>(handle), host, name);
}

STANDIN_API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared,
                                                 CUstream_st* stream) {
  t_configurations.push_back({{grid, block, shared}, stream});
  return 0;
}

STANDIN_API cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared,
                                                   void* stream) {
  if (t_configurations.empty()) return remember(cudaErrorUnknown);
  const Configuration top = t_configurations.back();
  t_configurations.pop_back();
  *grid = top.shape.grid;
  *block = top.shape.block;
  *shared = top.shape.dynamic_shared;
  *static_cast<cudaStream_t*>(stream) = top.stream;
  return cudaSuccess;
}

STANDIN_API cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  RegisteredKernel* found = runtime().kernels.find(host);
  *kernel = reinterpret_cast<cudaKernel_t>(found);
  return found == nullptr ? remember(cudaErrorInvalidDeviceFunction) : cudaSuccess;
}

STANDIN_API cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                                           std::size_t shared, cudaStream_t stream) {
  return api_call("cudaLaunchKernel", [&](Runtime& runtime) {
    return launch(runtime, reinterpret_cast<RegisteredKernel*>(kernel), {grid, block, shared}, arguments,
                  stream);
  });
}
// NOLINTEND(bugprone-reserved-identifier)

STANDIN_API cudaError_t cudaLaunchKernel(const void* host, dim3 grid, dim3 block, void** arguments,
                                         std::size_t shared, cudaStream_t stream) {
  return api_call("cudaLaunchKernel", [&](Runtime& runtime) {
    return launch(runtime, runtime.kernels.find(host), {grid, block, shared}, arguments, stream);
  });
}

STANDIN_API cudaError_t cudaFuncSetAttribute(const void* host, cudaFuncAttribute attribute, int value) {
  return api_call("cudaFuncSetAttribute", [&](Runtime& runtime) {
    RegisteredKernel* kernel = runtime.kernels.find(host);
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaErrorNotSupported;
    if (value < 0 || value > (227 << 10)) return cudaErrorInvalidValue;
    kernel->dynamic_shared_limit = value;
    return cudaSuccess;
  });
}

/// Registers are the compiler's business, so numRegs is 0: nothing here depends on them.
STANDIN_API cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* host) {
  return api_call("cudaFuncGetAttributes", [&](Runtime& runtime) {
    RegisteredKernel* kernel = runtime.kernels.find(host);
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    const ptx::Kernel* program = runtime.kernels.program_of(*kernel);
    if (program == nullptr) return cudaErrorNoKernelImageForDevice;
    *attributes = {};
    attributes->sharedSizeBytes = program->shared_bytes;
    attributes->localSizeBytes = program->local_bytes;
    attributes->maxThreadsPerBlock = 1024;
    attributes->ptxVersion = 90;
    attributes->binaryVersion = 90;
    attributes->maxDynamicSharedSizeBytes = kernel->dynamic_shared_limit;
    return cudaSuccess;
  });
}

/// As many blocks as 2048 threads and 228 KiB of shared memory allow.
STANDIN_API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* host,
                                                                               int block_size,
                                                                               std::size_t dynamic,
                                                                               unsigned /*flags*/) {
  return api_call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", [&](Runtime& runtime) {
    RegisteredKernel* kernel = runtime.kernels.find(host);
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (block_size <= 0) return cudaErrorInvalidValue;
    const ptx::Kernel* program = runtime.kernels.program_of(*kernel);
    if (program == nullptr) return cudaErrorNoKernelImageForDevice;
    const std::size_t shared = program->shared_bytes + dynamic + 1024;  // a block's own overhead
    const std::size_t by_shared = (std::size_t{228} << 10) / shared;
    *blocks = block_size > 1024 ? 0 : std::min({2048 / block_size, 32, static_cast<int>(by_shared)});
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* host,
                                                                      int block_size, std::size_t dynamic) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, host, block_size, dynamic, 0);
}
