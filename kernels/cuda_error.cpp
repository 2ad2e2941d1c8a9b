// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda_error.hpp"

#include <cuda_runtime_api.h>

#include <string>

namespace pregate::kernels::cuda {
namespace {

std::string explanation(cudaError_t status, std::string_view call, CallSite where) {
  const std::string_view path = where.file;
  const std::string_view file = path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0: all of it
  return std::string(call) + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ", " +
         std::string(file) + ":" + std::to_string(where.line) + ")";
}

}  // namespace

CudaError::CudaError(cudaError_t status, std::string_view call, CallSite where)
    : std::runtime_error(explanation(status, call, where)), status_(status) {}

void check_cuda(cudaError_t status, std::string_view call, CallSite where) {
  if (status != cudaSuccess) throw CudaError(status, call, where);
}

}  // namespace pregate::kernels::cuda
