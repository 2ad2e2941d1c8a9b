// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/kernels/kin.hpp"

#include <gtest/gtest.h>

namespace pregate::validation {
namespace {

// Half the SMs on a quarter of the bandwidth: L2 is twice as many multiples of the memory. An SM of it does a
// quarter of the products. Its host launches in three times the time.
TEST(Kin, ConstantsThatAreNoSharesFollowWhatTheyGoWith) {
  const KernelPeaks from{{4e12}, {1}, 100, {{"bf16", {8e14}}}, 20e-6};
  const KernelPeaks to{{1e12}, {1}, 50, {{"bf16", {1e14}}}, 60e-6};
  KernelConstants constants;
  constants.floor_s = 80e-6;
  constants.sm_feed = 200e9;
  constants.l2_multiple = 1.5;
  constants.memory_share = 0.7;
  const KernelConstants product = carried_over(KernelFamily::gemm, constants, from, to);
  EXPECT_DOUBLE_EQ(product.floor_s, 240e-6);
  EXPECT_DOUBLE_EQ(product.sm_feed, 50e9);
  EXPECT_DOUBLE_EQ(product.l2_multiple, 3);
  EXPECT_DOUBLE_EQ(product.memory_share, 0.7);
  const KernelConstants decode = carried_over(KernelFamily::attention_decode, constants, from, to);
  EXPECT_DOUBLE_EQ(decode.floor_s, 80e-6) << "replayed";
  EXPECT_DOUBLE_EQ(decode.sm_feed, 200e9);
  constants.packed = 2;  // Marlin
  EXPECT_DOUBLE_EQ(carried_over(KernelFamily::fused_moe, constants, from, to).sm_feed, 200e9);
  constants.floor_s = 5e-6;
  EXPECT_DOUBLE_EQ(carried_over(KernelFamily::gemm, constants, from, to).floor_s, 5e-6) << "replayed";
}

}  // namespace
}  // namespace pregate::validation
