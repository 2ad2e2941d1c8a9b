// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "models/error.hpp"
#include "models/model.hpp"

namespace pregate {
namespace {

/// Bits a parameter with the scales that are stored beside the values. The k-quants and q8_0 are the block
/// structs of ggml (ggml-common.h): block bytes * 8 / values a block.
const std::vector<WeightFormat>& formats() {
  static const std::vector<WeightFormat> all = {
      {"fp32", 32, "fp32"},
      {"fp16", 16, "fp16"},
      {"bf16", 16, "bf16"},
      {"fp8", 8, "fp8"},                                // one scale a tensor: below 0.001 bit
      {"fp8_block128", 8 + 32.0 / (128 * 128), "fp8"},  // DeepSeek-V3: an fp32 scale for each 128 x 128 block
      {"int8", 8, "fp16"},                              // weights only, one scale a row: below 0.01 bit
      {"int4", 4 + 16.0 / 32, "fp16"},                  // weights only, an fp16 scale for each 32
      {"mxfp4", 4 + 8.0 / 32, "bf16"},                  // OCP MX v1.0: an 8-bit scale for each 32
      {"q8_0", 34 * 8 / 32.0, "fp16"},                  // block_q8_0: fp16 + 32 x int8
      {"q6_k", 210 * 8 / 256.0, "fp16"},                // block_q6_K: 128 + 64 + 16 + 2 bytes
      {"q5_k", 176 * 8 / 256.0, "fp16"},                // block_q5_K: 4 + 12 + 32 + 128 bytes
      {"q4_k", 144 * 8 / 256.0, "fp16"},                // block_q4_K: 4 + 12 + 128 bytes
      {"q3_k", 110 * 8 / 256.0, "fp16"},                // block_q3_K: 32 + 64 + 12 + 2 bytes
      {"q2_k", 84 * 8 / 256.0, "fp16"},                 // block_q2_K: 16 + 64 + 4 bytes
      // llama.cpp's Q4_K_M of an expert: gate and up are q4_k; down is q6_k in half of the layers
      // (use_more_bits of llama-quant.cpp: the first and last eighth and every third between), q4_k in the
      // others. A mean over layers.
      {"q4_k_m", (4.5 + 4.5 + (4.5 + 6.5625) / 2) / 3, "fp16"},
  };
  return all;
}

}  // namespace

std::vector<std::string> weight_format_names() {
  std::vector<std::string> names;
  for (const WeightFormat& format : formats()) names.push_back(format.name);
  return names;
}

const WeightFormat& weight_format(const std::string& name, const std::string& where) {
  for (const WeightFormat& format : formats()) {
    if (format.name == name) return format;
  }
  throw InputError(where, "no weight format named '" + printable(name) + "'",
                   suggest(name, weight_format_names()));
}

}  // namespace pregate
