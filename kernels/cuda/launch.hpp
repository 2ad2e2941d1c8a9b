// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <driver_types.h>
#include <vector_types.h>

namespace pregate::kernels::cuda {

/// A kernel's launch. Grids are three-dimensional with limits of 2^31-1, 65535 and 65535 blocks.
struct LaunchShape {
  dim3 grid;
  unsigned int threads = 0;  // a block
  cudaStream_t stream = nullptr;
};

/// Launches by the address of the kernel's host stub; CudaError names the kernel and its shape. Unlike <<<>>>
/// the status is this call's own, never one that an earlier call left behind.
void launch_address(const char* name, const void* kernel, const LaunchShape& shape, void** arguments);

/// One argument each, as that is how the kernels here take theirs.
template <class Args>
void launch(const char* name, void (*kernel)(Args), const LaunchShape& shape, Args args) {
  void* arguments[] = {&args};
  launch_address(name, reinterpret_cast<const void*>(kernel), shape, arguments);
}

}  // namespace pregate::kernels::cuda
