// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "runtime/device.hpp"

namespace {
constexpr int skipped = 77;  // SKIP_RETURN_CODE of the CTest entry
}

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  std::string reason;
  if (!testing::GTEST_FLAG(list_tests) && !pregate::runtime::cuda_available(reason)) {
    std::fprintf(stderr, "SKIPPED: the CUDA device was NOT tested: %s\n", reason.c_str());
    return skipped;
  }
  return RUN_ALL_TESTS();
}
