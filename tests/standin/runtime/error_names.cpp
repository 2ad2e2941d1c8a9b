// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/runtime/error_names.hpp"

#include <algorithm>
#include <array>

namespace pregate::standin {
namespace {

struct Row {
  cudaError_t error;
  const char* name;
  const char* text;
};

constexpr std::array rows = {
    Row{cudaSuccess, "cudaSuccess", "no error"},
    Row{cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    Row{cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    Row{cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    Row{cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    Row{cudaErrorInvalidSymbol, "cudaErrorInvalidSymbol", "invalid device symbol"},
    Row{cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
        "invalid copy direction for memcpy"},
    Row{cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
        "CUDA driver version is insufficient for CUDA runtime version"},
    Row{cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    Row{cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    Row{cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    Row{cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
        "no kernel image is available for execution on the device"},
    Row{cudaErrorInvalidPtx, "cudaErrorInvalidPtx", "a PTX JIT compilation failed"},
    Row{cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    Row{cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    Row{cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    Row{cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
        "too many resources requested for launch"},
    Row{cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
        "part or all of the requested memory range is already mapped"},
    Row{cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
        "pointer does not correspond to a registered memory region"},
    Row{cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    Row{cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    Row{cudaErrorPeerAccessAlreadyEnabled, "cudaErrorPeerAccessAlreadyEnabled",
        "peer access is already enabled"},
    Row{cudaErrorPeerAccessNotEnabled, "cudaErrorPeerAccessNotEnabled", "peer access has not been enabled"},
    Row{cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
        "CUDA-capable device(s) is/are busy or unavailable"},
    Row{cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const Row* row_of(cudaError_t error) {
  const auto* const found =
      std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.error == error; });
  return found == rows.end() ? nullptr : found;
}

}  // namespace

const char* error_name(cudaError_t error) {
  const Row* row = row_of(error);
  return row == nullptr ? "unrecognized error code" : row->name;
}

const char* error_text(cudaError_t error) {
  const Row* row = row_of(error);
  return row == nullptr ? "unrecognized error code" : row->text;
}

std::optional<cudaError_t> error_named(std::string_view name) {
  for (const Row& row : rows) {
    if (name == row.name && row.error != cudaSuccess) return row.error;
  }
  return std::nullopt;
}

}  // namespace pregate::standin
