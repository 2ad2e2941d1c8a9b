// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V2, V3 and V3.2, and what is built of the same blocks: DeepSeek-VL2, Kimi-K2 and K2.5,
// GLM-4.7-Flash.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

/// DeepSeek-VL2-Tiny and DeepSeek-OCR switch latent attention off and use that of Llama.
Mixer read_attention(TableReader& config, int d_model) {
  if (config.boolean_or("use_mla", true)) return read_latent(config);
  return read_grouped_query(config, d_model);
}

void read_deepseek(TableReader& config, ModelSpec& model) {
  const std::string type = config.text("model_type");
  model.family = type == "deepseek_vl_v2" ? "deepseek_v2" : type == "kimi_k25" ? "kimi_k2" : type;
  const int layers = read_decoder(config, model);
  Mixer attention = read_attention(config, model.d_model);
  read_attention_bias(config, attention, false);
  const bool sparse_attention = model.family == "deepseek_v32";
  if (sparse_attention) attention.indexer = read_indexer(config);
  const std::string kind = sparse_attention ? "deepseek_sparse_attention" : "full_attention";
  for (const std::string& word : words_by_layer(config, "layer_types", layers)) {
    if (word != kind)
      throw InputError(config.where("layer_types"), "unknown kind of layer '" + printable(word) + "'",
                       "valid: " + kind);
  }
  const FeedForward dense = dense_layer(dimension(config, "intermediate_size"));
  MoeBlock moe = read_deepseek_experts(config);
  // e_score_correction_bias
  moe.router_bias = model.family != "deepseek_v2" || config.text_or("topk_method", "") == "noaux_tc";
  for (const bool sparse : sparse_layers_of_deepseek(config, layers, 1))
    model.stacks[0].add_layer(attention, sparse ? moe_layer(moe) : dense);
  leave_out_prediction(config, model, "num_nextn_predict_layers");
}

}  // namespace

Family deepseek() {
  return {{"deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_vl_v2", "kimi_k2", "kimi_k25",
           "glm4_moe_lite"},
          read_deepseek,
          // of the latent heads other keys say the widths
          {"num_key_value_heads", "head_dim", "qk_head_dim", "indexer_rope_interleave"}};
}

}  // namespace pregate::families
