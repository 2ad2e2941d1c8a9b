// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublas_v2.h>

#include <memory>
#include <string>

#include "runtime/cuda/allocation.hpp"
#include "runtime/device.hpp"

namespace pregate::runtime::cuda {

/// cuBLAS for one stream, with a workspace of its own, so that no GEMM allocates. fp32 products are fp32
/// products: TF32 is off (CUBLAS_COMPUTE_32F under CUBLAS_DEFAULT_MATH), and 16-bit ones are summed in fp32
/// to the end, also where cuBLAS splits the sum (CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION).
class Cublas {
 public:
  /// Throws OutOfMemory when the device has no room for the workspace.
  Cublas(int device, cudaStream_t stream, const std::string& stream_name);

  /// Enqueues it. Precondition: check_gemm(gemm), and the result has elements.
  void multiply(const Gemm& gemm, const std::string& stream_name);

 private:
  struct Destroy {
    void operator()(cublasHandle_t handle) const noexcept;
  };
  // In this order: the handle goes first.
  DeviceAllocation workspace_;
  std::unique_ptr<cublasContext, Destroy> handle_;
};

/// std::invalid_argument for sizes, types and pointers that make no product.
void check_gemm(const Gemm& gemm);

}  // namespace pregate::runtime::cuda
