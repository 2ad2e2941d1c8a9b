// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Device queries and errors.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <string_view>

#include "tests/standin/runtime/error_names.hpp"
#include "tests/standin/runtime/runtime.hpp"

using pregate::standin::api_call;
using pregate::standin::api_wait;
using pregate::standin::Runtime;

namespace {

constexpr char device_name[] = "pregate stand-in (test equipment, not a GPU)";
bool is_device(const Runtime& runtime, int device) { return device >= 0 && device < runtime.options.devices; }

/// What the interpreter can run, in the shape of compute capability 9.0.
cudaDeviceProp properties_of(const Runtime& runtime) {
  cudaDeviceProp properties{};
  std::snprintf(properties.name, sizeof properties.name, "%s", device_name);
  properties.totalGlobalMem = runtime.memory.limit();
  properties.sharedMemPerBlock = 48 << 10;
  properties.sharedMemPerBlockOptin = 227 << 10;
  properties.sharedMemPerMultiprocessor = 228 << 10;
  properties.regsPerBlock = 65536;
  properties.regsPerMultiprocessor = 65536;
  properties.warpSize = 32;
  properties.maxThreadsPerBlock = 1024;
  properties.maxThreadsDim[0] = 1024;
  properties.maxThreadsDim[1] = 1024;
  properties.maxThreadsDim[2] = 64;
  properties.maxGridSize[0] = 0x7fffffff;
  properties.maxGridSize[1] = 65535;
  properties.maxGridSize[2] = 65535;
  properties.maxThreadsPerMultiProcessor = 2048;
  properties.maxBlocksPerMultiProcessor = 32;
  properties.major = 9;
  properties.minor = 0;
  properties.multiProcessorCount = 1;
  properties.asyncEngineCount = 2;
  properties.concurrentKernels = 1;
  properties.unifiedAddressing = 1;
  properties.canMapHostMemory = 1;
  properties.streamPrioritiesSupported = 1;
  properties.textureAlignment = 512;
  properties.l2CacheSize = 0;
  return properties;
}

cudaError_t attribute_of(const Runtime& runtime, cudaDeviceAttr attribute, int& value) {
  const cudaDeviceProp p = properties_of(runtime);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxBlockDimX:
      value = p.maxThreadsDim[0];
      break;
    case cudaDevAttrMaxBlockDimY:
      value = p.maxThreadsDim[1];
      break;
    case cudaDevAttrMaxBlockDimZ:
      value = p.maxThreadsDim[2];
      break;
    case cudaDevAttrMaxGridDimX:
      value = p.maxGridSize[0];
      break;
    case cudaDevAttrMaxGridDimY:
      value = p.maxGridSize[1];
      break;
    case cudaDevAttrMaxGridDimZ:
      value = p.maxGridSize[2];
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      value = static_cast<int>(p.sharedMemPerBlock);
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      value = static_cast<int>(p.sharedMemPerBlockOptin);
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      value = static_cast<int>(p.sharedMemPerMultiprocessor);
      break;
    case cudaDevAttrWarpSize:
      value = p.warpSize;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
      value = p.regsPerBlock;
      break;
    case cudaDevAttrMultiProcessorCount:
      value = p.multiProcessorCount;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      value = p.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      value = p.maxBlocksPerMultiProcessor;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      value = p.minor;
      break;
    case cudaDevAttrAsyncEngineCount:
      value = p.asyncEngineCount;
      break;
    case cudaDevAttrConcurrentKernels:
      value = p.concurrentKernels;
      break;
    case cudaDevAttrUnifiedAddressing:
      value = p.unifiedAddressing;
      break;
    case cudaDevAttrCanMapHostMemory:
      value = p.canMapHostMemory;
      break;
    case cudaDevAttrStreamPrioritiesSupported:
      value = p.streamPrioritiesSupported;
      break;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
    case cudaDevAttrGlobalMemoryBusWidth:
    case cudaDevAttrL2CacheSize:
    case cudaDevAttrIntegrated:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrPciBusId:
    case cudaDevAttrPciDeviceId:
    case cudaDevAttrPciDomainId:
    case cudaDevAttrEccEnabled:
      value = 0;
      break;
    default:
      return cudaErrorNotSupported;
  }
  return cudaSuccess;
}

}  // namespace

STANDIN_API cudaError_t cudaGetDeviceCount(int* count) {
  return api_call("cudaGetDeviceCount",
                  [&](Runtime& runtime) { return *count = runtime.options.devices, cudaSuccess; });
}

STANDIN_API cudaError_t cudaGetDevice(int* device) {
  return api_call("cudaGetDevice",
                  [&](Runtime&) { return *device = pregate::standin::current_device(), cudaSuccess; });
}

STANDIN_API cudaError_t cudaSetDevice(int device) {
  return api_call("cudaSetDevice", [&](Runtime& runtime) {
    if (!is_device(runtime, device)) return cudaErrorInvalidDevice;
    pregate::standin::choose_device(device);
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaSetDeviceFlags(unsigned /*flags*/) {
  return api_call("cudaSetDeviceFlags", [](Runtime&) { return cudaSuccess; });
}

STANDIN_API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return api_call("cudaGetDeviceProperties", [&](Runtime& runtime) {
    if (!is_device(runtime, device)) return cudaErrorInvalidDevice;
    *properties = properties_of(runtime);
    properties->pciBusID = device;
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return api_call("cudaDeviceGetAttribute", [&](Runtime& runtime) {
    if (!is_device(runtime, device)) return cudaErrorInvalidDevice;
    const cudaError_t error = attribute_of(runtime, attribute, *value);
    if (attribute == cudaDevAttrPciBusId) *value = device;
    return error;
  });
}

STANDIN_API cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  return api_call("cudaDeviceGetPCIBusId", [&](Runtime& runtime) {
    if (!is_device(runtime, device)) return cudaErrorInvalidDevice;
    constexpr std::string_view bus_id = "0000:00:00.0";
    if (length <= static_cast<int>(bus_id.size())) return cudaErrorInvalidValue;
    text[bus_id.copy(text, bus_id.size())] = '\0';
    text[6] = static_cast<char>('0' + device);
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return api_call("cudaDeviceGetStreamPriorityRange", [&](Runtime&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaDriverGetVersion(int* version) {
  return api_call("cudaDriverGetVersion", [&](Runtime&) { return *version = CUDART_VERSION, cudaSuccess; });
}

STANDIN_API cudaError_t cudaRuntimeGetVersion(int* version) {
  return api_call("cudaRuntimeGetVersion", [&](Runtime&) { return *version = CUDART_VERSION, cudaSuccess; });
}

STANDIN_API cudaError_t cudaDeviceSynchronize() {
  return api_wait("cudaDeviceSynchronize", [](Runtime& runtime) {
    runtime.engine.wait_for_all(pregate::standin::current_device());
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return api_call("cudaDeviceCanAccessPeer", [&](Runtime& runtime) {
    if (!is_device(runtime, device) || !is_device(runtime, peer)) return cudaErrorInvalidDevice;
    *can = device != peer ? 1 : 0;
    return cudaSuccess;
  });
}

STANDIN_API cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return api_call("cudaDeviceEnablePeerAccess", [&](Runtime& runtime) {
    const int device = pregate::standin::current_device();
    if (flags != 0) return cudaErrorInvalidValue;
    if (!is_device(runtime, peer) || peer == device) return cudaErrorInvalidDevice;
    return runtime.memory.let_reach(device, peer, true) ? cudaSuccess : cudaErrorPeerAccessAlreadyEnabled;
  });
}

STANDIN_API cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return api_call("cudaDeviceDisablePeerAccess", [&](Runtime& runtime) {
    const int device = pregate::standin::current_device();
    if (!is_device(runtime, peer)) return cudaErrorInvalidDevice;
    return runtime.memory.let_reach(device, peer, false) ? cudaSuccess : cudaErrorPeerAccessNotEnabled;
  });
}

STANDIN_API cudaError_t cudaGetLastError() { return pregate::standin::last_error(/*clear=*/true); }

STANDIN_API cudaError_t cudaPeekAtLastError() { return pregate::standin::last_error(/*clear=*/false); }

STANDIN_API const char* cudaGetErrorName(cudaError_t error) { return pregate::standin::error_name(error); }

STANDIN_API const char* cudaGetErrorString(cudaError_t error) { return pregate::standin::error_text(error); }
