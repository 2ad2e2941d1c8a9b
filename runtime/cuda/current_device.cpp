// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/current_device.hpp"

#include <cuda_runtime_api.h>

#include <string>

#include "runtime/cuda/check.hpp"

namespace pregate::runtime::cuda {

namespace {

constexpr int none = -1;
thread_local int t_current = none;

cudaError_t set(int device) {
  if (t_current == device) return cudaSuccess;
  t_current = none;
  const cudaError_t status = cudaSetDevice(device);
  if (status == cudaSuccess) t_current = device;
  return status;
}

}  // namespace

void use_device(int device) {
  check(set(device), [&] { return "cudaSetDevice of device " + std::to_string(device); });
}

void use_device_if_there(int device) noexcept { static_cast<void>(set(device)); }

}  // namespace pregate::runtime::cuda
