// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/check.hpp"

#include <cuda_runtime_api.h>

namespace pregate::runtime::cuda {

static_assert(cudaError_t{} == cudaSuccess && cublasStatus_t{} == CUBLAS_STATUS_SUCCESS);

std::string explain(cudaError_t status) {
  static_cast<void>(cudaGetLastError());
  return std::string(cudaGetErrorString(status)) + " (" + cudaGetErrorName(status) + ")";
}

void fail(cudaError_t status, const std::string& call) { throw DeviceError(call + ": " + explain(status)); }

void fail(cublasStatus_t status, const std::string& call) {
  static_cast<void>(cudaGetLastError());
  throw DeviceError(call + ": " + cublasGetStatusString(status) + " (" + cublasGetStatusName(status) + ")");
}

}  // namespace pregate::runtime::cuda
