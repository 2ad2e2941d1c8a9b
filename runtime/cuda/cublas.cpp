// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/cuda/cublas.hpp"

#include <cuda_runtime_api.h>

#include <stdexcept>

#include "runtime/cuda/check.hpp"
#include "runtime/cuda/current_device.hpp"

namespace pregate::runtime::cuda {

namespace {

/// What NVIDIA recommends for Hopper and later (cuBLAS manual, cublasSetWorkspace); earlier ones need 4 MiB.
constexpr Bytes workspace_size(int compute_capability_major) {
  return {compute_capability_major >= 9 ? std::int64_t{32} << 20 : std::int64_t{4} << 20};
}

constexpr auto exact_sums =
    static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);

cudaDataType_t cuda_type(ElementType type) {
  switch (type) {
    case ElementType::f16:
      return CUDA_R_16F;
    case ElementType::bf16:
      return CUDA_R_16BF;
    case ElementType::f32:
      break;
  }
  return CUDA_R_32F;
}

}  // namespace

void check_gemm(const Gemm& gemm) {
  if (gemm.rows < 0 || gemm.columns < 1 || gemm.inner < 1)
    throw std::invalid_argument("a product of " + std::to_string(gemm.rows) + " x " +
                                std::to_string(gemm.inner) + " and " + std::to_string(gemm.columns) + " x " +
                                std::to_string(gemm.inner));
  if (gemm.c_stride != 0 && gemm.c_stride < gemm.columns)
    throw std::invalid_argument("rows of a product lie " + std::to_string(gemm.c_stride) +
                                " elements apart, but have " + std::to_string(gemm.columns));
  if (gemm.result != gemm.type && gemm.result != ElementType::f32)
    throw std::invalid_argument("a product's type is its factors' or fp32");
  if (gemm.rows > 0 && (gemm.a == nullptr || gemm.b == nullptr || gemm.c == nullptr))
    throw std::invalid_argument("a product of null pointers");
}

Cublas::Cublas(int device, cudaStream_t stream, const std::string& stream_name) {
  const std::string on_stream = " for stream " + stream_name;
  int major = 0;
  use_device(device);
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        [] { return "cudaDeviceGetAttribute of the compute capability"; });
  const Bytes size = workspace_size(major);
  workspace_ = allocate_device(device, size, memory_of_device(device).free, "cuBLAS's workspace" + on_stream);
  cublasHandle_t handle = nullptr;
  check(cublasCreate(&handle), [&] { return "cublasCreate" + on_stream; });
  handle_.reset(handle);
  // First the stream: setting it takes the workspace away.
  check(cublasSetStream(handle, stream), [&] { return "cublasSetStream" + on_stream; });
  check(cublasSetWorkspace(handle, workspace_.get(), static_cast<std::size_t>(size.count)),
        [&] { return "cublasSetWorkspace" + on_stream; });
  check(cublasSetMathMode(handle, exact_sums), [&] { return "cublasSetMathMode" + on_stream; });
}

void Cublas::Destroy::operator()(cublasHandle_t handle) const noexcept {
  static_cast<void>(cublasDestroy(handle));
}

// cuBLAS is column-major, where a row-major matrix is its transpose: C^T = B A^T, with B stored as B^T.
void Cublas::multiply(const Gemm& g, const std::string& stream_name) {
  const float alpha = 1;
  const cudaDataType_t type = cuda_type(g.type);
  const int c_stride = g.c_stride > 0 ? g.c_stride : g.columns;
  const cublasStatus_t status = cublasGemmEx(
      handle_.get(), CUBLAS_OP_T, CUBLAS_OP_N, g.columns, g.rows, g.inner, &alpha, g.b, type, g.inner, g.a,
      type, g.inner, &g.beta, g.c, cuda_type(g.result), c_stride, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  check(status, [&] {
    return "cublasGemmEx on stream " + stream_name + ", " + std::to_string(g.rows) + " x " +
           std::to_string(g.columns) + " x " + std::to_string(g.inner);
  });
}

}  // namespace pregate::runtime::cuda
