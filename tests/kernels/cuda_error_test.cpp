// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda_error.hpp"

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "kernels/cuda.hpp"

namespace pregate::kernels {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

TEST(CudaError, SuccessIsSilent) { EXPECT_NO_THROW(cuda::check_cuda(cudaSuccess, "cudaMalloc")); }

TEST(CudaError, SaysTheCallTheReasonAndThePlace) {
  int line = 0;
  try {
    line = __LINE__ + 1;
    cuda::check_cuda(cudaErrorMemoryAllocation, "cudaMalloc of the slots, 4 GiB");
    FAIL() << "must throw";
  } catch (const cuda::CudaError& error) {
    EXPECT_EQ(error.status(), cudaErrorMemoryAllocation);
    EXPECT_EQ(std::string(error.what()),
              "cudaMalloc of the slots, 4 GiB: out of memory (cudaErrorMemoryAllocation, "
              "cuda_error_test.cpp:" +
                  std::to_string(line) + ")");
  }
}

TEST(CudaKernels, BadArgumentsAreRefusedBeforeCudaIsAsked) {
  EXPECT_THAT(
      [] {
        cuda::router<float>({nullptr, nullptr, nullptr, 1, 4, 2}, nullptr);
      },
      ThrowsMessage<std::invalid_argument>("router: logits is null"));
  EXPECT_THAT(
      [] {
        cuda::rms_norm<BFloat16>({nullptr, nullptr, nullptr, 0, -1}, nullptr);
      },
      ThrowsMessage<std::invalid_argument>(StartsWith("rms_norm: width is -1")));
}

// What a user sees first where there is no driver: which kernel, and CUDA's reason.
TEST(CudaKernels, ARefusedLaunchNamesTheKernel) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess) GTEST_SKIP() << "needs a machine without a GPU";
  float values[4] = {};
  const RmsNormArgs<float> args{values, values, values, 3, 1};
  EXPECT_THAT([&] { cuda::rms_norm(args, nullptr); },
              ThrowsMessage<cuda::CudaError>(StartsWith("kernel rms_norm (3 x 1 blocks of 256 threads): ")));
}

}  // namespace
}  // namespace pregate::kernels
