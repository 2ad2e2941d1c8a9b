// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <driver_types.h>

#include <stdexcept>
#include <string_view>

namespace pregate::kernels::cuda {

/// Where a call stands. (std::source_location needs a newer clang than the linter's, and C++20 in device
/// code.)
struct CallSite {
  const char* file = nullptr;
  int line = 0;
  /// The place of the caller that uses this as its default argument.
  static CallSite here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

/// A call of the CUDA runtime failed. what() is
/// `<call>: <CUDA's explanation> (<CUDA's name of the error>, <file>:<line>)`.
class CudaError : public std::runtime_error {
 public:
  CudaError(cudaError_t status, std::string_view call, CallSite where);
  [[nodiscard]] cudaError_t status() const { return status_; }

 private:
  cudaError_t status_;
};

/// Throws CudaError unless `status` is cudaSuccess. `call` says what was asked of CUDA, with the sizes that
/// matter: check_cuda(cudaMalloc(&p, n), "cudaMalloc of the expert slots, 4 GiB"). Operations run later than
/// they are issued, so a status may be about an earlier one.
void check_cuda(cudaError_t status, std::string_view call, CallSite where = CallSite::here());

}  // namespace pregate::kernels::cuda
