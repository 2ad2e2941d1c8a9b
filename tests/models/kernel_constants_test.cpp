// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/kernel_constants.hpp"

#include <gtest/gtest.h>

#include <string>

#include "models/error.hpp"

namespace pregate {
namespace {

const std::string head = R"(description = "a GPU"
source = "made up"
architecture = "ada"
[gpu]
memory_bandwidth = "1 TB/s"
l2 = "1 MiB"
sm_count = 10
[gpu.rates]
bf16 = "1 TFLOP/s"
)";
const std::string conv = R"([[kernels]]
family = "conv_decode"
dtype = "bf16"
floor_us = 2
memory_share = 0.5
l2_multiple = 3
fitted_rows = 10
judged_rows = 9
median = 0.01
percentile_90 = 0.1
)";

/// What reading `text` is refused for.
std::string refusal(const std::string& text) {
  try {
    parse_gpu_kernels(text, "a", "a.toml");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(KernelConstants, NumbersComeInTheUnitsOfTheirNames) {
  const GpuKernels kernels = parse_gpu_kernels(head + conv, "a", "a.toml");
  const KernelFit* fit = kernels.find(KernelFamily::conv_decode, "bf16");
  ASSERT_NE(fit, nullptr);
  EXPECT_DOUBLE_EQ(fit->constants.floor_s, 2e-6);
  EXPECT_EQ(fit->constants.memory_share, 0.5);
  EXPECT_EQ(kernels.find(KernelFamily::conv_decode, "fp8"), nullptr);
  EXPECT_EQ(kernels.peaks.rates.at("bf16").value, 1e12);
}

TEST(KernelConstants, WhatIsWrongIsNamed) {
  EXPECT_NE(refusal(head + with(conv, "conv_decode", "conv_decod")).find("did you mean 'conv_decode'"),
            std::string::npos);
  EXPECT_NE(refusal(head + with(conv, "0.5", "-0.5")).find("memory_share"), std::string::npos);
  EXPECT_NE(refusal(head + with(conv, "0.5", "nan")).find("memory_share"), std::string::npos);
  EXPECT_NE(refusal(head + with(conv, "l2_multiple", "l2_multiples")).find("l2_multiple"), std::string::npos);
  EXPECT_NE(refusal(head + conv + conv).find("already"), std::string::npos);
  EXPECT_NE(refusal(with(head, "bf16 =", "fp8 =") + conv).find("bf16"), std::string::npos);
}

TEST(KernelConstants, TheCatalogueIsReadable) {
  ASSERT_FALSE(kernel_gpu_names().empty());
  for (const std::string& name : kernel_gpu_names())
    EXPECT_FALSE(load_gpu_kernels(name).fits.empty()) << name;
  EXPECT_THROW(load_gpu_kernels("h100"), InputError);
}

}  // namespace
}  // namespace pregate
