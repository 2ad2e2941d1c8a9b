// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "runtime/device.hpp"

namespace pregate::runtime {

/// A CUDA device that is visible (CUDA_VISIBLE_DEVICES chooses which are), the first unless options.index
/// says another. Copies and events as CUDA's, GEMMs by cuBLAS, the kernels of kernels/cuda.hpp. Memory is
/// plain device memory under a budget; without one, what is free less a reserve for what CUDA itself
/// allocates later (code of kernels, cuBLAS and its workspaces). Operations are checked and issued by the
/// calling thread: arguments that a kernel refuses are thrown at once.
std::unique_ptr<Device> open_cuda_device(const DeviceOptions& options);

/// Whether a driver and a device are there; `reason` says in one line why not.
bool cuda_device_answers(std::string& reason);

namespace cuda {

/// Its number among those that are visible. std::logic_error for a device of another kind.
int index_of(const Device& device);

}  // namespace cuda
}  // namespace pregate::runtime
