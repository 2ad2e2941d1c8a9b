// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdio>

namespace {
constexpr int skipped = 77;  // SKIP_RETURN_CODE of the CTest entry
}

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (!testing::GTEST_FLAG(list_tests) && (status != cudaSuccess || devices == 0)) {
    std::fprintf(stderr, "SKIPPED: the CUDA kernels were NOT run: no CUDA device (%s)\n",
                 status != cudaSuccess ? cudaGetErrorString(status) : "none found");
    return skipped;
  }
  return RUN_ALL_TESTS();
}
