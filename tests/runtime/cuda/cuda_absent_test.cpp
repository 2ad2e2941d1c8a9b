// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/error.hpp"
#include "runtime/device.hpp"

namespace pregate::runtime {
namespace {

using testing::HasSubstr;
using testing::Not;

// On a machine without driver or GPU, and in a build without CUDA: one line that says why, and the way out.
TEST(CudaAbsent, IsSaidWithTheWayOut) {
  std::string reason;
  if (cuda_available(reason)) GTEST_SKIP() << "a CUDA device answers here";
  EXPECT_FALSE(reason.empty());
  EXPECT_THAT(reason, Not(HasSubstr("\n")));
  try {
    open_device("cuda", {});
    FAIL() << "opened a device that does not answer";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--device host"));
    EXPECT_THAT(error.what(), HasSubstr("CUDA"));
    EXPECT_THAT(error.what(), testing::StartsWith("--device cuda: "));
  }
}

}  // namespace
}  // namespace pregate::runtime
