// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/launch.hpp"

#include <cuda_runtime_api.h>

#include <string>

#include "kernels/cuda_error.hpp"

namespace pregate::kernels::cuda {

void launch_address(const char* name, const void* kernel, const LaunchShape& shape, void** arguments) {
  const cudaError_t status =
      cudaLaunchKernel(kernel, shape.grid, dim3(shape.threads, 1, 1), arguments, 0, shape.stream);
  if (status == cudaSuccess) return;
  const auto text = [](unsigned int size) { return std::to_string(size); };
  check_cuda(status, std::string("kernel ") + name + " (" + text(shape.grid.x) + " x " + text(shape.grid.y) +
                         " blocks of " + text(shape.threads) + " threads)");
}

}  // namespace pregate::kernels::cuda
