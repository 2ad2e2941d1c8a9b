// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/weight_format.hpp"

#include <algorithm>
#include <vector>

#include "models/error.hpp"
#include "models/formats/file_mix.hpp"
#include "models/formats/ggml_types.hpp"

namespace pregate {
namespace {

/// Formats of published checkpoints. Bits a parameter with the scales that are stored beside the values.
std::vector<DescribedFormat> published() {
  return {
      {{"fp32", 32, "fp32"}, "", false, false},
      {{"fp16", 16, "fp16"}, "", false, false},
      {{"bf16", 16, "bf16"}, "", false, false},
      {{"fp8", 8, "fp8"}, "one scale a tensor or row: below 0.01 bit", false, false},
      {block_fp8_format(128, 128), "an fp32 scale for each 128 x 128 (DeepSeek-V3)", false, false},
      {{"mxfp8", 8 + 8.0 / 32, "fp8"}, "an 8-bit scale for each 32 (OCP Microscaling 1.0)", false, false},
      {{"mxfp4", 4 + 8.0 / 32, "bf16"}, "an 8-bit scale for each 32 (OCP Microscaling 1.0)", false, false},
      {{"nvfp4", 4 + 8.0 / 16, "bf16"}, "an fp8 scale for each 16, one fp32 a tensor", false, false, true},
      {{"int8", 8, "fp16"}, "weights only, one scale a row: below 0.01 bit", false, false},
      {{"int4", 4 + 16.0 / 32, "fp16"}, "weights only, a 16-bit scale for each 32 (Kimi-K2.5)", false, false},
      {grouped_integer_format(4, 64, false), "a 16-bit scale for each 64 (HQQ)", false, false},
      {grouped_integer_format(4, 128, false), "a 16-bit scale for each 128", false, false},
      {{"awq", 4 + (16 + 4) / 128.0, "fp16"},
       "4 bits, a 16-bit scale and a 4-bit zero point for each 128",
       false,
       false},
      {{"gptq", 4 + (16 + 4) / 128.0, "fp16"},
       "as awq; the group index of each input is not counted",
       false,
       false},
      {{"nf4", 4 + 8.0 / 64 + 32.0 / (64 * 256), "bf16"},
       "bitsandbytes, scales quantised again",
       false,
       false},
      {grouped_integer_format(2, 64, false), "a 16-bit scale for each 64 (Fate's and FloE's int2)", false,
       false},
      {{"hqq2", 57.3e6 * 8 / 176'160'768, "fp16"},
       "HQQ in 2 bits as mixtral-offloading reports it: 57.3 MB of an expert of Mixtral-8x7B, 2.6 bits",
       false,
       false},
      {{"hqq3", 3.3, "fp16"},
       "HQQ in 3 bits as derived from what mixtral-offloading reports, 72.7 MB of such an expert",
       false,
       false},
      {{"vq3", 3.01, "fp16"}, "three stages of vector quantisation (warp's VQ3R)", false, false},
      {{"qmoe", 0.8, "bf16"},
       "ternary values coded by a dictionary (QMoE, arXiv:2310.16795): mean of Switch-C-2048",
       false,
       false},
  };
}

/// The mean of something over the layers of an expert with gate, up and down, in a model of 48 layers with
/// 128 experts.
template <typename Of>
double mean_of_experts(const FileMix& mix, Of of) {
  double sum = 0;
  for (int layer = 0; layer < mean_layers; ++layer) {
    for (const TensorRole role : {TensorRole::ffn_gate, TensorRole::ffn_up, TensorRole::ffn_down})
      sum += of(type_in(mix, mean_expert(role, layer)));
  }
  return sum / (3 * mean_layers);
}

double mean_expert_bits(const FileMix& mix) {
  return mean_of_experts(mix, [](const GgmlType& type) { return type.bits(); });
}

std::vector<DescribedFormat> make_all() {
  std::vector<DescribedFormat> all = published();
  for (const GgmlType& type : ggml_types()) {
    const auto same = [&](const DescribedFormat& known) { return known.format.name == type.name; };
    // f32 and f16 stand there as fp32 and fp16.
    if (!type.weights || type.name == "f32" || type.name == "f16" ||
        std::any_of(all.begin(), all.end(), same))
      continue;
    all.push_back({{std::string(type.name), type.bits(), type.name == "f64" ? "fp32" : "fp16"},
                   "ggml: " + std::to_string(type.values) +
                       (type.values == 1 ? " value in " : " values in ") + std::to_string(type.bytes) +
                       " bytes",
                   false,
                   false});
  }
  for (const FileMix& mix : file_mixes())
    all.push_back({{std::string(mix.name), mean_expert_bits(mix), "fp16"},
                   std::string(mix.what),
                   true,
                   mix.approximate});
  return all;
}

const std::vector<DescribedFormat>& all_formats() {
  static const std::vector<DescribedFormat> all = make_all();
  return all;
}

}  // namespace

std::span<const DescribedFormat> described_formats() { return all_formats(); }

double values_a_scale(const std::string& format) {
  if (const GgmlType* type = ggml_type_named(format)) return type->scaled;
  if (const FileMix* mix = file_mix(format))
    return 1 / mean_of_experts(*mix, [](const GgmlType& type) { return 1.0 / type.scaled; });
  return GgmlType{}.scaled;
}

bool takes_fp4_cores(const std::string& format) {
  if (const GgmlType* type = ggml_type_named(format)) return type->fp4;
  const FileMix* mix = file_mix(format);
  return mix != nullptr &&
         mean_of_experts(*mix, [](const GgmlType& type) { return type.fp4 ? 0.0 : 1.0; }) == 0;
}

const DescribedFormat* described_format(std::string_view name) {
  const auto found = std::find_if(all_formats().begin(), all_formats().end(),
                                  [&](const DescribedFormat& each) { return each.format.name == name; });
  return found == all_formats().end() ? nullptr : &*found;
}

WeightFormat grouped_integer_format(int bits, int group, bool zero_points) {
  std::string name = "int" + std::to_string(bits);
  double total = bits;
  if (group > 0) {
    name += "_g" + std::to_string(group);
    total += (16.0 + (zero_points ? bits : 0)) / group;
  }
  if (zero_points && group > 0) name += "_zp";
  // The names by which these are known.
  if (name == "int4_g32") name = "int4";
  if (name == "int4_g128_zp") name = "awq";
  return {name, total, "fp16"};
}

WeightFormat block_fp8_format(int rows, int columns) {
  if (rows <= 0 || columns <= 0) return {"fp8", 8, "fp8"};
  const std::string name =
      rows == columns ? std::to_string(rows) : std::to_string(rows) + "x" + std::to_string(columns);
  return {"fp8_block" + name, 8 + 32.0 / (static_cast<double>(rows) * columns), "fp8"};
}

std::vector<std::string> weight_format_names() {
  std::vector<std::string> names;
  for (const DescribedFormat& described : all_formats()) names.push_back(described.format.name);
  return names;
}

const WeightFormat& weight_format(const std::string& name, const std::string& where) {
  // As ggml and as transformers write them.
  const std::string known = name == "f32" || name == "float32"   ? "fp32"
                            : name == "f16" || name == "float16" ? "fp16"
                            : name == "bfloat16"                 ? "bf16"
                                                                 : name;
  for (const DescribedFormat& described : all_formats()) {
    if (described.format.name == known) return described.format;
  }
  const std::vector<std::string> names = weight_format_names();
  // All of them would be sixty names.
  throw InputError(where, "no weight format named '" + printable(name) + "'",
                   (nearest_names(name, names).empty() ? "" : suggest(name, names) + " ") +
                       "pregate list weight-formats shows them all");
}

}  // namespace pregate
