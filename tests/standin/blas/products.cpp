// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The matrix products of the cuBLAS interface.
#include <algorithm>
#include <cstring>
#include <memory>

#include "tests/standin/blas/gemm.hpp"
#include "tests/standin/blas/handle.hpp"
#include "tests/standin/runtime/pointers.hpp"
#include "tests/standin/runtime/seam.hpp"

using namespace pregate::standin;

namespace {

/// One operand as the interface gives it.
struct Argument {
  const void* pointer = nullptr;
  cudaDataType type = CUDA_R_32F;
  int leading = 0;
  long long stride = 0;  ///< elements from one matrix of the batch to the next
};

struct Product {
  Gemm gemm;
  Argument a;
  Argument b;
  Argument c;
  int batch = 1;
  /// The arguments are arrays of `batch` pointers in device memory, which the device reads when it comes to
  /// it.
  bool pointer_arrays = false;
};

cublasStatus_t refuse(cublasStatus_t status, const std::string& text) {
  standin_report("blas", text.c_str());
  return status;
}

Matrix shaped(const Argument& argument, int rows, int columns) {
  return {address_of(argument.pointer), argument.type, rows, columns, argument.leading};
}

bool fill(std::vector<Matrix>& matrices, const Argument& argument, const Product& product, int rows,
          int columns, void* touched) {
  const auto batch = static_cast<std::size_t>(product.batch);
  matrices.assign(batch, shaped(argument, rows, columns));
  if (!product.pointer_arrays) {
    const auto stride = static_cast<std::uintptr_t>(argument.stride) * element_size(argument.type);
    for (std::size_t i = 0; i < batch; ++i) matrices[i].address += i * stride;
    return true;
  }
  const std::uintptr_t array = address_of(argument.pointer);
  const std::byte* pointers =
      standin_resolve(array, batch * sizeof(void*), /*write=*/false, product.gemm.name);
  if (pointers == nullptr) return false;
  const Range range{array, array + batch * sizeof(void*), false};
  standin_touch(touched, &range);
  for (std::size_t i = 0; i < batch; ++i) {
    std::memcpy(&matrices[i].address, pointers + i * sizeof(void*), sizeof(void*));
  }
  return true;
}

bool carry_out(void* context, void* touched) {
  auto& product = *static_cast<Product*>(context);
  Gemm& gemm = product.gemm;
  const bool plain_a = gemm.transpose_a == CUBLAS_OP_N;
  const bool plain_b = gemm.transpose_b == CUBLAS_OP_N;
  if (!fill(gemm.a, product.a, product, plain_a ? gemm.m : gemm.k, plain_a ? gemm.k : gemm.m, touched) ||
      !fill(gemm.b, product.b, product, plain_b ? gemm.k : gemm.n, plain_b ? gemm.n : gemm.k, touched) ||
      !fill(gemm.c, product.c, product, gemm.m, gemm.n, touched)) {
    return false;
  }
  for (const Range& range : ranges_of(gemm)) standin_touch(touched, &range);
  return run(gemm);
}

cublasStatus_t check(const Product& product) {
  const Gemm& gemm = product.gemm;
  const std::string name = gemm.name;
  if (gemm.m < 0 || gemm.n < 0 || gemm.k < 0 || product.batch < 0) {
    return refuse(CUBLAS_STATUS_INVALID_VALUE, name + ": negative size");
  }
  const int rows_a = gemm.transpose_a == CUBLAS_OP_N ? gemm.m : gemm.k;
  const int rows_b = gemm.transpose_b == CUBLAS_OP_N ? gemm.k : gemm.n;
  if (product.a.leading < std::max(1, rows_a) || product.b.leading < std::max(1, rows_b) ||
      product.c.leading < std::max(1, gemm.m)) {
    return refuse(CUBLAS_STATUS_INVALID_VALUE,
                  name + ": a leading dimension is less than the rows of its matrix");
  }
  const bool result = product.c.type == product.a.type || product.c.type == CUDA_R_32F;
  if (element_size(product.a.type) == 0 || product.a.type != product.b.type || !result) {
    return refuse(CUBLAS_STATUS_NOT_SUPPORTED, name + ": this combination of types");
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t submit(cublasHandle_t handle, Product product, const void* alpha, const void* beta) {
  Gemm& gemm = product.gemm;
  const cublasStatus_t entered = enter(gemm.name, handle);
  if (entered != CUBLAS_STATUS_SUCCESS) return entered;
  if (handle->pointer_mode != CUBLAS_POINTER_MODE_HOST) {
    return refuse(CUBLAS_STATUS_NOT_SUPPORTED, std::string(gemm.name) + ": scalars in device memory");
  }
  if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&gemm.alpha, alpha, sizeof gemm.alpha);
  std::memcpy(&gemm.beta, beta, sizeof gemm.beta);
  const cublasStatus_t checked = check(product);
  if (checked != CUBLAS_STATUS_SUCCESS) return checked;
  if (gemm.m == 0 || gemm.n == 0 || product.batch == 0) return CUBLAS_STATUS_SUCCESS;
  const double operations = 2.0 * gemm.m * gemm.n * gemm.k * product.batch;
  auto context = std::make_unique<Product>(std::move(product));
  const char* name = context->gemm.name;
  const cudaError_t error = standin_submit_gemm(
      handle->stream, name, operations, carry_out, [](void* p) { delete static_cast<Product*>(p); },
      context.release());
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

Gemm shape(const char* name, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k) {
  Gemm gemm;
  gemm.name = name;
  gemm.transpose_a = ta;
  gemm.transpose_b = tb;
  gemm.m = m;
  gemm.n = n;
  gemm.k = k;
  return gemm;
}

/// Scalars are floats only then.
bool accumulates_in_float(cublasComputeType_t type) {
  return type == CUBLAS_COMPUTE_32F || type == CUBLAS_COMPUTE_32F_PEDANTIC;
}

cublasStatus_t refuse_compute(const char* name) {
  return refuse(CUBLAS_STATUS_NOT_SUPPORTED,
                std::string(name) + ": only CUBLAS_COMPUTE_32F and its pedantic form");
}

}  // namespace

STANDIN_API cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb,
                                          int m, int n, int k, const float* alpha, const float* a, int lda,
                                          const float* b, int ldb, const float* beta, float* c, int ldc) {
  Product product{shape("cublasSgemm", ta, tb, m, n, k),
                  {a, CUDA_R_32F, lda},
                  {b, CUDA_R_32F, ldb},
                  {c, CUDA_R_32F, ldc}};
  return submit(handle, std::move(product), alpha, beta);
}

/// y = alpha op(A) x + beta y, as the product of the row x with the transpose of op(A).
STANDIN_API cublasStatus_t cublasSgemv_v2(cublasHandle_t handle, cublasOperation_t transpose, int m, int n,
                                          const float* alpha, const float* a, int lda, const float* x,
                                          int incx, const float* beta, float* y, int incy) {
  const bool plain = transpose == CUBLAS_OP_N;
  const cublasOperation_t flipped = plain ? CUBLAS_OP_T : CUBLAS_OP_N;
  if (incx < 1 || incy < 1) return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "cublasSgemv: stride less than 1");
  Product product{shape("cublasSgemv", CUBLAS_OP_N, flipped, 1, plain ? m : n, plain ? n : m),
                  {x, CUDA_R_32F, incx},
                  {a, CUDA_R_32F, lda},
                  {y, CUDA_R_32F, incy}};
  return submit(handle, std::move(product), alpha, beta);
}

STANDIN_API cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb,
                                        int m, int n, int k, const void* alpha, const void* a,
                                        cudaDataType type_a, int lda, const void* b, cudaDataType type_b,
                                        int ldb, const void* beta, void* c, cudaDataType type_c, int ldc,
                                        cublasComputeType_t compute, cublasGemmAlgo_t /*algorithm*/) {
  if (!accumulates_in_float(compute)) return refuse_compute("cublasGemmEx");
  Product product{
      shape("cublasGemmEx", ta, tb, m, n, k), {a, type_a, lda}, {b, type_b, ldb}, {c, type_c, ldc}};
  return submit(handle, std::move(product), alpha, beta);
}

STANDIN_API cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void* alpha,
    const void* a, cudaDataType type_a, int lda, long long stride_a, const void* b, cudaDataType type_b,
    int ldb, long long stride_b, const void* beta, void* c, cudaDataType type_c, int ldc, long long stride_c,
    int batch, cublasComputeType_t compute, cublasGemmAlgo_t /*algorithm*/) {
  if (!accumulates_in_float(compute)) return refuse_compute("cublasGemmStridedBatchedEx");
  Product product{shape("cublasGemmStridedBatchedEx", ta, tb, m, n, k),
                  {a, type_a, lda, stride_a},
                  {b, type_b, ldb, stride_b},
                  {c, type_c, ldc, stride_c},
                  batch};
  return submit(handle, std::move(product), alpha, beta);
}

STANDIN_API cublasStatus_t cublasGemmBatchedEx(cublasHandle_t handle, cublasOperation_t ta,
                                               cublasOperation_t tb, int m, int n, int k, const void* alpha,
                                               const void* const a[], cudaDataType type_a, int lda,
                                               const void* const b[], cudaDataType type_b, int ldb,
                                               const void* beta, void* const c[], cudaDataType type_c,
                                               int ldc, int batch, cublasComputeType_t compute,
                                               cublasGemmAlgo_t /*algorithm*/) {
  if (!accumulates_in_float(compute)) return refuse_compute("cublasGemmBatchedEx");
  Product product{shape("cublasGemmBatchedEx", ta, tb, m, n, k),
                  {a, type_a, lda},
                  {b, type_b, ldb},
                  {c, type_c, ldc},
                  batch,
                  true};
  return submit(handle, std::move(product), alpha, beta);
}
