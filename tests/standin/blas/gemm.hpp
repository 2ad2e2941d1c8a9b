// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cublas_v2.h>

#include "tests/standin/ptx/touched_ranges.hpp"

namespace pregate::standin {

/// A column-major matrix in device memory.
struct Matrix {
  std::uintptr_t address = 0;
  cudaDataType type = CUDA_R_32F;
  int rows = 0;
  int columns = 0;
  int leading = 0;  ///< elements from one column to the next
};

/// C = alpha op(A) op(B) + beta C for each matrix of a batch.
struct Gemm {
  const char* name = "";
  cublasOperation_t transpose_a = CUBLAS_OP_N;
  cublasOperation_t transpose_b = CUBLAS_OP_N;
  int m = 0;
  int n = 0;
  int k = 0;
  float alpha = 1;
  float beta = 0;
  std::vector<Matrix> a;
  std::vector<Matrix> b;
  std::vector<Matrix> c;
};

/// Bytes of an element of a supported type (f32, f16, bf16), else 0.
std::size_t element_size(cudaDataType type);

/// What the product reads and writes, column by column where columns are apart.
std::vector<Range> ranges_of(const Gemm& gemm);

/// Computes with double accumulation, rounded once to the type of C. False after a report when memory may not
/// be accessed.
bool run(const Gemm& gemm);

}  // namespace pregate::standin
