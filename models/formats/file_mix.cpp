// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// The rules are those of llama.cpp (src/llama-quant.cpp, llama_tensor_get_type_impl, and the default types of
// llama_model_quantize_impl), for models with experts.
#include "models/formats/file_mix.hpp"

#include <algorithm>
#include <array>

namespace pregate {
namespace {

enum class Rule {
  q2_k,
  q2_k_s,
  q3_k_s,
  q3_k_m,
  q3_k_l,
  q4_k_s,
  q4_k_m,
  q5_k_s,
  q5_k_m,
  q4_0,
  q5_0,
  q6_k,
  q8_0,
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq2_m,
  iq3_xxs,
  iq3_xs,
  iq3_s,
  iq3_m,
  iq4_nl,
  iq4_xs,
  mxfp4_moe,
  ud_q2,
  ud_q3,
  ud_q4,
  ud_q5,
  ud_q6,
  ud_q8,
};

struct Entry {
  Rule rule;
  std::string_view base;  ///< type of what no rule names
};

constexpr std::string_view unsloth =
    "Unsloth's dynamic file, which differs by model: experts as in the files of Qwen3-30B-A3B to "
    "Qwen3.6-35B-A3B";

constexpr std::array mixes{
    FileMix{"q2_k_mix", "experts: q2_k, down q3_k"},
    FileMix{"q2_k_s", "experts: q2_k, down q4_k in the first eighth of the layers"},
    FileMix{"q3_k_s", "experts: q3_k"},
    FileMix{"q3_k_m", "experts: q3_k, down q4_k (q5_k in the first sixteenth)"},
    FileMix{"q3_k_l", "experts: q3_k, down q5_k"},
    FileMix{"q4_k_s", "experts: q4_k, down q5_k in the first eighth"},
    FileMix{"q4_k_m", "experts: q4_k, down q6_k in about half of the layers"},
    FileMix{"q5_k_s", "experts: q5_k"},
    FileMix{"q5_k_m", "experts: q5_k, down q6_k in about half of the layers"},
    FileMix{"q4_0_mix", "experts: q4_0"},
    FileMix{"q5_0_mix", "experts: q5_0"},
    FileMix{"q6_k_mix", "experts: q6_k"},
    FileMix{"q8_0_mix", "everything q8_0"},
    FileMix{"iq1_s_mix", "experts: iq1_s, down q2_k in the first eighth"},
    FileMix{"iq1_m_mix", "experts: iq1_m, down q2_k in the first eighth"},
    FileMix{"iq2_xxs_mix", "experts: iq2_xxs, down q2_k in the first eighth"},
    FileMix{"iq2_xs_mix", "experts: iq2_xs, down q2_k in the first eighth"},
    FileMix{"iq2_s_mix", "experts: iq2_xs, down iq3_s in the first eighth"},
    FileMix{"iq2_m", "experts: iq2_s, down iq3_s in the first eighth"},
    FileMix{"iq3_xxs_mix", "experts: iq3_xxs"},
    FileMix{"iq3_xs", "experts: iq3_s, gate and up iq3_xxs in the middle three quarters"},
    FileMix{"iq3_s_mix", "experts: iq3_s"},
    FileMix{"iq3_m", "experts: iq3_s, down q4_k in the first eighth"},
    FileMix{"iq4_nl_mix", "experts: iq4_nl"},
    FileMix{"iq4_xs_mix", "experts: iq4_xs"},
    FileMix{"mxfp4_moe", "experts: mxfp4, the rest q8_0"},
    FileMix{"q2_k_xl", unsloth, true},
    FileMix{"q3_k_xl", unsloth, true},
    FileMix{"q4_k_xl", unsloth, true},
    FileMix{"q5_k_xl", unsloth, true},
    FileMix{"q6_k_xl", unsloth, true},
    FileMix{"q8_k_xl", unsloth, true},
};

/// In the order of the mixes.
constexpr std::array<Entry, mixes.size()> entries{{
    {Rule::q2_k, "q2_k"},     {Rule::q2_k_s, "q2_k"},     {Rule::q3_k_s, "q3_k"}, {Rule::q3_k_m, "q3_k"},
    {Rule::q3_k_l, "q3_k"},   {Rule::q4_k_s, "q4_k"},     {Rule::q4_k_m, "q4_k"}, {Rule::q5_k_s, "q5_k"},
    {Rule::q5_k_m, "q5_k"},   {Rule::q4_0, "q4_0"},       {Rule::q5_0, "q5_0"},   {Rule::q6_k, "q6_k"},
    {Rule::q8_0, "q8_0"},     {Rule::iq1_s, "iq1_s"},     {Rule::iq1_m, "iq1_m"}, {Rule::iq2_xxs, "iq2_xxs"},
    {Rule::iq2_xs, "iq2_xs"}, {Rule::iq2_s, "iq2_xs"},    {Rule::iq2_m, "iq2_s"}, {Rule::iq3_xxs, "iq3_xxs"},
    {Rule::iq3_xs, "iq3_s"},  {Rule::iq3_s, "iq3_s"},     {Rule::iq3_m, "iq3_s"}, {Rule::iq4_nl, "iq4_nl"},
    {Rule::iq4_xs, "iq4_xs"}, {Rule::mxfp4_moe, "mxfp4"}, {Rule::ud_q2, "q2_k"},  {Rule::ud_q3, "q3_k"},
    {Rule::ud_q4, "q4_k"},    {Rule::ud_q5, "q5_k"},      {Rule::ud_q6, "q6_k"},  {Rule::ud_q8, "q8_0"},
}};

bool use_more_bits(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

bool is_low(Rule rule) { return rule >= Rule::iq1_s && rule <= Rule::iq2_m; }
bool is_unsloth(Rule rule) { return rule >= Rule::ud_q2; }

std::string_view output_type(Rule rule, std::string_view base) {
  if (rule == Rule::mxfp4_moe || is_unsloth(rule)) return "q8_0";
  if (is_low(rule) || rule == Rule::iq3_xxs) return "q5_k";
  return base == "q8_0" ? base : "q6_k";
}

std::string_view embedding_type(Rule rule, std::string_view base) {
  if (rule == Rule::mxfp4_moe || is_unsloth(rule)) return "q8_0";
  if (rule == Rule::iq2_s || rule == Rule::iq2_m || rule == Rule::iq3_xxs) return "iq3_s";
  if (is_low(rule)) return "q2_k";
  return base;
}

/// i-quants of about 1 to 2 bits have rules of their own.
std::string_view low_type(Rule rule, std::string_view base, const TensorPlace& at) {
  const bool wider = rule == Rule::iq2_s || rule == Rule::iq2_m;
  switch (at.role) {
    case TensorRole::attention_v:
      if (at.query_group >= 4 || at.experts >= 4) return "q4_k";
      return wider ? "iq3_s" : "q2_k";
    case TensorRole::attention_k:
      return at.experts == 8 ? "q4_k" : base;
    case TensorRole::ffn_down:
      if (at.layer < at.layers / 8) return wider ? "iq3_s" : "q2_k";
      return base;
    case TensorRole::attention_output:
      if (at.experts == 8) return "q5_k";
      if (rule == Rule::iq1_s || rule == Rule::iq1_m) return "iq2_xxs";
      return wider ? "iq3_s" : base;
    default:
      return base;
  }
}

std::string_view value_type(Rule rule, std::string_view base, const TensorPlace& at) {
  const bool grouped = at.query_group >= 4;
  if (at.experts == 8) return "q8_0";
  const bool more = use_more_bits(at.attention_layer, at.attention_layers);
  switch (rule) {
    case Rule::q2_k:
      return grouped ? "q4_k" : "q3_k";
    case Rule::q2_k_s:
    case Rule::iq3_xxs:
    case Rule::iq3_xs:
    case Rule::iq3_s:
      return grouped ? "q4_k" : base;
    case Rule::iq3_m:
      return "q4_k";
    case Rule::q3_k_m:
      return at.attention_layer < 2 ? "q5_k" : "q4_k";
    case Rule::q3_k_l:
      return "q5_k";
    case Rule::iq4_nl:
    case Rule::iq4_xs:
      return grouped ? "q5_k" : base;
    case Rule::q4_k_m:
    case Rule::q5_k_m:
      return more ? "q6_k" : base;
    case Rule::q4_k_s:
      return at.attention_layer < 4 ? "q5_k" : base;
    default:
      return base;
  }
}

std::string_view down_type(Rule rule, std::string_view base, const TensorPlace& at) {
  const bool first_eighth = at.layer < at.layers / 8;
  switch (rule) {
    case Rule::q2_k:
      return "q3_k";
    case Rule::q2_k_s:
    case Rule::iq3_m:
      if (rule == Rule::iq3_m && at.experts == 8 && use_more_bits(at.layer, at.layers)) return "q4_k";
      return first_eighth ? "q4_k" : base;
    case Rule::q3_k_m:
      return at.layer < at.layers / 16 ? "q5_k" : "q4_k";
    case Rule::q3_k_l:
      return "q5_k";
    case Rule::q4_k_m:
    case Rule::q5_k_m:
      return use_more_bits(at.layer, at.layers) ? "q6_k" : base;
    case Rule::q4_k_s:
      return first_eighth ? "q5_k" : base;
    default:
      return base;
  }
}

std::string_view output_projection_type(Rule rule, std::string_view base, const TensorPlace& at) {
  if (at.experts == 8) {
    const bool raised = (rule <= Rule::q4_k_m && rule != Rule::q2_k_s && rule != Rule::q3_k_l) ||
                        (rule >= Rule::iq3_xxs && rule <= Rule::iq4_xs);
    return raised ? "q5_k" : base;
  }
  switch (rule) {
    case Rule::q2_k:
      return "q3_k";
    case Rule::iq3_xxs:
      return "iq3_s";
    case Rule::q3_k_m:
    case Rule::iq3_m:
      return "q4_k";
    case Rule::q3_k_l:
      return "q5_k";
    default:
      return base;
  }
}

/// Unsloth's files: gate and up in the type of the name, down in the next wider one, the rest q8_0. As in
/// public tensor tables: Qwen3.6-35B-A3B UD-Q4_K_XL (q4_k, down q5_k), Qwen3.5-35B-A3B UD-Q6_K_XL (q6_k, all
/// others q8_0); UD-Q2_K_XL of Qwen3-30B-A3B comes out at 11.8 GB, as published.
std::string_view unsloth_type(Rule rule, std::string_view base, TensorRole role) {
  if (role != TensorRole::ffn_down) return base;
  switch (rule) {
    case Rule::ud_q2:
      return "q3_k";
    case Rule::ud_q3:
      return "q4_k";
    case Rule::ud_q4:
      return "q5_k";
    case Rule::ud_q5:
      return "q6_k";
    default:
      return "q8_0";
  }
}

std::string_view chosen_type(const Entry& entry, const TensorPlace& at) {
  const auto [rule, base] = entry;
  if (at.role == TensorRole::output) return output_type(rule, base);
  if (at.role == TensorRole::embedding) return embedding_type(rule, base);
  if (rule == Rule::mxfp4_moe) return at.routed ? base : "q8_0";
  if (is_unsloth(rule)) return at.routed ? unsloth_type(rule, base, at.role) : "q8_0";
  if (is_low(rule)) return low_type(rule, base, at);
  const bool middle = at.layer >= at.layers / 8 && at.layer < 7 * at.layers / 8;
  switch (at.role) {
    case TensorRole::attention_v:
      return value_type(rule, base, at);
    case TensorRole::attention_k:
      if (at.experts == 8) return "q8_0";
      [[fallthrough]];
    case TensorRole::attention_q:
      if (rule == Rule::iq3_xs) return "iq3_xxs";
      return rule == Rule::iq3_xxs ? "iq2_s" : base;
    case TensorRole::ffn_down:
      return down_type(rule, base, at);
    case TensorRole::attention_output:
      return output_projection_type(rule, base, at);
    case TensorRole::ffn_gate:
    case TensorRole::ffn_up:
      return rule == Rule::iq3_xs && middle ? "iq3_xxs" : base;
    default:
      return base;
  }
}

/// tensor_type_fallback of llama-quant.cpp.
const GgmlType& fitting(const GgmlType& type, std::int64_t row) {
  if (row <= 0 || row % type.values == 0) return type;
  std::string_view next = "f16";
  if (type.name.starts_with("iq")) {
    next = "iq4_nl";
  } else if (type.name == "q2_k" || type.name == "q3_k") {
    next = "q4_0";
  } else if (type.name == "q4_k") {
    next = "q5_0";
  } else if (type.name == "q5_k") {
    next = "q5_1";
  } else if (type.name == "q6_k") {
    next = "q8_0";
  }
  const GgmlType& fallback = *ggml_type_named(next);
  return row % fallback.values == 0 ? fallback : *ggml_type_named("f16");
}

}  // namespace

std::span<const FileMix> file_mixes() { return mixes; }

const FileMix* file_mix(std::string_view name) {
  const auto* const found =
      std::find_if(mixes.begin(), mixes.end(), [&](const FileMix& m) { return m.name == name; });
  return found == mixes.end() ? nullptr : found;
}

const GgmlType& type_in(const FileMix& mix, const TensorPlace& place) {
  const Entry& entry = entries.at(static_cast<std::size_t>(&mix - mixes.data()));
  return fitting(*ggml_type_named(chosen_type(entry, place)), place.row);
}

}  // namespace pregate
