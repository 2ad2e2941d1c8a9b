// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/blas/gemm.hpp"

#include <cstring>

#include "tests/standin/ptx/numeric.hpp"
#include "tests/standin/runtime/seam.hpp"

namespace pregate::standin {
namespace {

double loaded(const std::byte* bytes, cudaDataType type) {
  if (type == CUDA_R_32F) {
    float value = 0;
    std::memcpy(&value, bytes, sizeof value);
    return static_cast<double>(value);
  }
  std::uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof bits);
  return ptx::decode(bits, type == CUDA_R_16F ? ptx::f16_format : ptx::bf16_format);
}

void stored(std::byte* bytes, cudaDataType type, double value) {
  if (type == CUDA_R_32F) {
    const auto narrow = static_cast<float>(value);
    std::memcpy(bytes, &narrow, sizeof narrow);
    return;
  }
  const std::uint16_t bits = ptx::encode(value, type == CUDA_R_16F ? ptx::f16_format : ptx::bf16_format,
                                         ptx::Rounding::nearest_even);
  std::memcpy(bytes, &bits, sizeof bits);
}

std::uintptr_t column_address(const Matrix& matrix, int column) {
  return matrix.address + static_cast<std::size_t>(column) * static_cast<std::size_t>(matrix.leading) *
                              element_size(matrix.type);
}

std::size_t column_bytes(const Matrix& matrix) {
  return static_cast<std::size_t>(matrix.rows) * element_size(matrix.type);
}

/// The matrix as doubles, without gaps between columns.
bool read(const Matrix& matrix, const char* who, std::vector<double>& values) {
  const std::size_t size = element_size(matrix.type);
  values.clear();
  for (int column = 0; column < matrix.columns; ++column) {
    const std::byte* bytes =
        standin_resolve(column_address(matrix, column), column_bytes(matrix), /*write=*/false, who);
    if (bytes == nullptr) return false;
    for (int row = 0; row < matrix.rows; ++row) {
      values.push_back(loaded(bytes + static_cast<std::size_t>(row) * size, matrix.type));
    }
  }
  return true;
}

/// op(X) with the sum's index running fastest: row i of it starts at i * k for A, column j at j * k for B.
std::vector<double> sum_major(const std::vector<double>& values, int outer, int k, bool already) {
  if (already) return values;
  std::vector<double> result(values.size());
  const auto width = static_cast<std::size_t>(outer);
  const auto depth = static_cast<std::size_t>(k);
  for (std::size_t p = 0; p < depth; ++p) {
    for (std::size_t i = 0; i < width; ++i) result[i * depth + p] = values[p * width + i];
  }
  return result;
}

bool multiply(const Gemm& gemm, const Matrix& a, const Matrix& b, const Matrix& c) {
  const bool uses_product = gemm.k > 0 && gemm.alpha != 0;
  std::vector<double> left;
  std::vector<double> right;
  std::vector<double> old;
  if (uses_product && (!read(a, gemm.name, left) || !read(b, gemm.name, right))) return false;
  if (gemm.beta != 0 && !read(c, gemm.name, old)) return false;
  if (uses_product) {
    left = sum_major(left, gemm.m, gemm.k, gemm.transpose_a != CUBLAS_OP_N);
    right = sum_major(right, gemm.n, gemm.k, gemm.transpose_b == CUBLAS_OP_N);
  }
  const auto depth = uses_product ? static_cast<std::size_t>(gemm.k) : 0;
  const auto rows = static_cast<std::size_t>(gemm.m);
  for (int column = 0; column < gemm.n; ++column) {
    std::byte* bytes = standin_resolve(column_address(c, column), column_bytes(c), /*write=*/true, gemm.name);
    if (bytes == nullptr) return false;
    const auto j = static_cast<std::size_t>(column);
    for (std::size_t i = 0; i < rows; ++i) {
      double sum = 0;
      for (std::size_t p = 0; p < depth; ++p) sum += left[i * depth + p] * right[j * depth + p];
      double value = static_cast<double>(gemm.alpha) * sum;
      if (gemm.beta != 0) value += static_cast<double>(gemm.beta) * old[j * rows + i];
      stored(bytes + i * element_size(c.type), c.type, value);
    }
  }
  return true;
}

void add_ranges(TouchedRanges& ranges, const Matrix& matrix, bool write) {
  for (int column = 0; column < matrix.columns; ++column) {
    ranges.add(column_address(matrix, column), column_bytes(matrix), write);
  }
}

}  // namespace

std::size_t element_size(cudaDataType type) {
  if (type == CUDA_R_32F) return 4;
  return type == CUDA_R_16F || type == CUDA_R_16BF ? 2 : 0;
}

std::vector<Range> ranges_of(const Gemm& gemm) {
  TouchedRanges ranges;
  for (std::size_t i = 0; i < gemm.c.size(); ++i) {
    if (gemm.k > 0 && gemm.alpha != 0) {
      add_ranges(ranges, gemm.a[i], /*write=*/false);
      add_ranges(ranges, gemm.b[i], /*write=*/false);
    }
    if (gemm.beta != 0) add_ranges(ranges, gemm.c[i], /*write=*/false);
    add_ranges(ranges, gemm.c[i], /*write=*/true);
  }
  return ranges.take();
}

bool run(const Gemm& gemm) {
  for (std::size_t i = 0; i < gemm.c.size(); ++i) {
    if (!multiply(gemm, gemm.a[i], gemm.b[i], gemm.c[i])) return false;
  }
  return true;
}

}  // namespace pregate::standin
