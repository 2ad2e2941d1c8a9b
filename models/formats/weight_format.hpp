// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/model.hpp"

namespace pregate {

/// A weight format as `pregate list formats` shows it.
struct DescribedFormat {
  WeightFormat format;
  std::string blocks;  ///< what the bits are made of: "256 values in 144 bytes"
  bool mix = false;    ///< a file's mixture by tensor role; its bits are the mean of a layer's experts
  bool approximate = false;
  bool feed_forward_only = false;  ///< who writes such files leaves all other products as they were
};

/// Every format that --weights and a model file take, types before mixes.
std::span<const DescribedFormat> described_formats();
/// nullptr: not known by this name.
const DescribedFormat* described_format(std::string_view name);

/// Whole numbers in groups that share a 16-bit scale (AWQ, GPTQ, compressed-tensors): "int4_g128". `group` 0
/// is one scale a row, `zero_points` adds a number of `bits` to each group. bits 2 to 8.
WeightFormat grouped_integer_format(int bits, int group, bool zero_points);
/// fp8 with an fp32 scale for each block of rows x columns (DeepSeek-V3: 128 x 128); 0 x 0: one a tensor.
WeightFormat block_fp8_format(int rows, int columns);

/// Values that a product of int8 applies one scale to, in the mean over an expert (harmonic: scales count);
/// 32 for a format that is no tensor type of ggml's.
double values_a_scale(const std::string& format);
/// Whether tensor cores of fp4 take experts of the format as they are (mxfp4, nvfp4); of a mixture all of
/// them.
bool takes_fp4_cores(const std::string& format);

}  // namespace pregate
