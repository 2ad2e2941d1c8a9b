// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V4. Every layer attends to a window of tokens and, where compress_ratios says so, to compressed
// runs of tokens: of 4 (chosen by an indexer) or of 128 (all of them). The residual is hc_mult streams. Not
// counted: the gate that joins the streams after the last layer (hc_mult^2 x hidden_size), and the tokens of
// a run that is not complete yet, which are kept until they are compressed.
#include "models/error.hpp"
#include "models/families/family.hpp"
#include "models/families/fields.hpp"

namespace pregate::families {
namespace {

constexpr int sparse_ratio = 4, heavy_ratio = 128;  ///< the two that DeepseekV4Config knows

/// Tokens a compressed entry of each layer: compress_ratios, which goes on for the prediction layers, or
/// layer_types of transformers.
std::vector<int> read_ratios(TableReader& config, int layers) {
  std::vector<int> ratios;
  for (const std::string& word : words_by_layer(config, "layer_types", layers)) {
    const bool sparse = word == "compressed_sparse_attention", heavy = word == "heavily_compressed_attention";
    if (!sparse && !heavy && word != "sliding_attention")
      throw InputError(config.where("layer_types"), "unknown kind of layer '" + printable(word) + "'",
                       "valid: sliding_attention, compressed_sparse_attention, heavily_compressed_attention");
    ratios.push_back(sparse ? sparse_ratio : heavy ? heavy_ratio : 0);
  }
  const Node* list = config.find("compress_ratios");
  if (!ratios.empty()) return ratios;
  if (list == nullptr)
    throw InputError(config.where(), "the key 'compress_ratios' is missing", "one number a layer");
  if (list->kind != Node::Kind::array || list->items.size() < static_cast<std::size_t>(layers))
    throw InputError(config.where("compress_ratios"), "must be a list with a whole number a layer");
  for (const Node& item : list->items) {
    const bool known = item.kind == Node::Kind::integer &&
                       (item.integer == 0 || item.integer == sparse_ratio || item.integer == heavy_ratio);
    if (!known) throw InputError(config.where("compress_ratios"), "must hold 0, 4 and 128 alone");
    ratios.push_back(static_cast<int>(item.integer));
  }
  ratios.resize(static_cast<std::size_t>(layers));
  return ratios;
}

/// The compression of each kind of layer, where a file says it: it must be what `read_ratios` takes.
void check_rates(TableReader& config) {
  auto rates = config.table_if("compress_rates");
  const auto check = [](TableReader& table, const char* key, int expected) {
    if (table.integer_or(key, 1, 65'536, expected) != expected)
      throw InputError(table.where(key), "only " + std::to_string(expected) + " is described");
  };
  if (rates) {
    check(*rates, "compressed_sparse_attention", sparse_ratio);
    check(*rates, "heavily_compressed_attention", heavy_ratio);
    rates->finish();
  }
  check(config, "compress_rate_csa", sparse_ratio);
  check(config, "compress_rate_hca", heavy_ratio);
}

/// Layers whose experts a table chooses by the token's id; they hold a router as well, for the weights.
int count_hash_layers(TableReader& config, int layers) {
  const int count = dimension_or(config, "num_hash_layers", 0);
  const std::vector<std::string> types = words_by_layer(config, "mlp_layer_types", layers);
  if (types.empty()) return count;
  int hashed = 0;
  for (const std::string& word : types) {
    if (word != "hash_moe" && word != "moe")
      throw InputError(config.where("mlp_layer_types"), "unknown kind of layer '" + printable(word) + "'",
                       "valid: hash_moe, moe");
    hashed += word == "hash_moe" ? 1 : 0;
  }
  return hashed;
}

/// Checkpoints since 0731 hold a module that drafts tokens.
void leave_out_drafter(TableReader& config, ModelSpec& model) {
  bool holds_one = false;
  for (const Member& member : config.node().members) {
    if (member.key.starts_with("dspark_")) holds_one = config.has(member.key) || holds_one;
  }
  if (holds_one) model.left_out.emplace_back("the drafting module (dspark_...)");
}

void read_deepseek_v4(TableReader& config, ModelSpec& model) {
  model.family = "deepseek_v4";
  const int layers = read_decoder(config, model);
  Mixer attention;
  attention.kind = MixerKind::compressed;
  attention.heads = dimension(config, "num_attention_heads");
  attention.head_dim = dimension(config, "head_dim");
  if (dimension_or(config, "num_key_value_heads", 1) != 1)
    throw InputError(config.where("num_key_value_heads"), "must be 1: the key is shared by all heads");
  attention.q_lora_rank = dimension(config, "q_lora_rank");
  attention.output_groups = dimension(config, "o_groups");
  attention.output_lora_rank = dimension(config, "o_lora_rank");
  attention.window = dimension(config, "sliding_window");
  attention.residual_streams = dimension(config, "hc_mult");
  const Indexer indexer = read_indexer(config);
  check_rates(config);
  MoeBlock moe = read_deepseek_experts(config);
  moe.router_bias = true;
  for (const int ratio : read_ratios(config, layers)) {
    attention.compress_ratio = ratio;
    attention.indexer = ratio == sparse_ratio ? indexer : Indexer{};
    model.stacks[0].add_layer(attention, moe_layer(moe));
  }
  if (const int hashed = count_hash_layers(config, layers); hashed > 0)
    model.left_out.push_back("the tables of " + std::to_string(hashed) + " hash layers (num_hash_layers)");
  leave_out_prediction(config, model, "num_nextn_predict_layers");
  leave_out_drafter(config, model);
}

}  // namespace

Family deepseek_v4() {
  return {{"deepseek_v4"},
          read_deepseek_v4,
          // expert_dtype is a matter of formats
          {"expert_dtype", "hc_sinkhorn_iters", "qk_rope_head_dim"}};
}

}  // namespace pregate::families
