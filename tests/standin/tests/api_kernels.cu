// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standin/tests/api_kernels.hpp"

namespace pregate::standin {
namespace {

__constant__ float table[4] = {1, 2, 3, 4};
__device__ int counter;

__global__ void add_table_to(float* values, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  values[i] += table[i % 4];
  atomicAdd(&counter, 1);
}

}  // namespace

void add_table(float* values, int count, cudaStream_t stream) {
  add_table_to<<<(count + 31) / 32, 32, 0, stream>>>(values, count);
}

cudaError_t set_table(const float (&values)[4]) { return cudaMemcpyToSymbol(table, values, sizeof values); }

cudaError_t read_counter(int& count) { return cudaMemcpyFromSymbol(&count, counter, sizeof count); }

const void* add_table_kernel() { return reinterpret_cast<const void*>(&add_table_to); }

}  // namespace pregate::standin
