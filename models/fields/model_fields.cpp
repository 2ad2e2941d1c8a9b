// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/describe.hpp"

namespace pregate {
namespace {

const Range size_range{1, 1 << 20, "from 1 to 1048576"};
const Range size_or_none{0, 1 << 20, "from 0 to 1048576"};
const Range count_of_experts{1, 65'536, "from 1 to 65536"};

Fields<Indexer> indexer() {
  Fields<Indexer> fields;
  fields.add("heads", &Indexer::heads, "of the indexer");
  fields.add("head_dim", &Indexer::head_dim, "of a head of the indexer");
  fields.add("top_k", &Indexer::top_k, "entries that attention reads");
  fields.add("shared", &Indexer::shared, "it takes the choice of an earlier layer");
  return fields;
}

Fields<Mixer> mixer() {
  Fields<Mixer> fields;
  fields.add("kind", &Mixer::kind, "how a layer mixes tokens");
  fields.add("heads", &Mixer::heads, "heads; linear kinds: of the state");
  fields.add("kv_heads", &Mixer::kv_heads, "heads of keys and values");
  fields.add("head_dim", &Mixer::head_dim, "width of q and k; linear kinds: of a key");
  fields.add("v_head_dim", &Mixer::v_head_dim, "width of a value; 0: head_dim");
  fields.add("window", &Mixer::window, "tokens that are kept; 0: all");
  fields.add("q_lora_rank", &Mixer::q_lora_rank, "of the query projection; 0: full");
  fields.add("kv_lora_rank", &Mixer::kv_lora_rank, "cached latent width");
  fields.add("qk_nope_head_dim", &Mixer::qk_nope_head_dim, "without position");
  fields.add("qk_rope_head_dim", &Mixer::qk_rope_head_dim, "with position, cached");
  fields.add_table("indexer", &Mixer::indexer, indexer());
  fields.add("compress_ratio", &Mixer::compress_ratio, "tokens of a compressed entry");
  fields.add("output_groups", &Mixer::output_groups, "of a low-rank output projection");
  fields.add("output_lora_rank", &Mixer::output_lora_rank, "of that projection");
  fields.add("key_heads", &Mixer::key_heads, "heads of q and k");
  fields.add("groups", &Mixer::groups, "of B and C");
  fields.add("state_dim", &Mixer::state_dim, "of a head's state");
  fields.add("step_rank", &Mixer::step_rank, "of the projection that makes a channel's step size");
  fields.add("conv_kernel", &Mixer::conv_kernel, "taps of the short convolution");
  fields.add("state_bits", &Mixer::state_bits, "of an element of the state");
  fields.add("qkv_bias", &Mixer::qkv_bias, "biases of q, k, v");
  fields.add("output_bias", &Mixer::output_bias, "bias of the output projection");
  fields.add("qk_norm", &Mixer::qk_norm, "a norm on q and on k");
  fields.add("qk_norm_full_width", &Mixer::qk_norm_full_width, "which spans all heads");
  fields.add("sinks", &Mixer::sinks, "one learned sink a head");
  fields.add("output_gate", &Mixer::output_gate, "a gate of the output");
  fields.add("head_gate", &Mixer::head_gate, "a gate a head");
  fields.add("value_is_key", &Mixer::value_is_key, "values are the projected keys");
  fields.add("residual_streams", &Mixer::residual_streams, "hyper-connections");
  fields.add("residual_rank", &Mixer::residual_rank, "rank of their gates");
  fields.add("norms", &Mixer::norms, "norms around the mixer");
  return fields;
}

Fields<MoeBlock> moe() {
  Fields<MoeBlock> fields;
  fields.add("experts", &MoeBlock::experts, "routed experts of a layer", count_of_experts).needed();
  fields.add("top_k", &MoeBlock::top_k, "experts a token", count_of_experts).needed();
  fields.add("ffn_dim", &MoeBlock::ffn_dim, "inner width of an expert", size_range).needed();
  fields.add("gated", &MoeBlock::gated, "three matrices rather than two");
  fields.add("expert_bias", &MoeBlock::expert_bias, "experts have biases");
  fields.add("router_bias", &MoeBlock::router_bias, "one bias an expert");
  fields.add("shared_ffn_dim", &MoeBlock::shared_ffn_dim, "inner width of all shared experts", size_or_none);
  fields.add("shared_gate", &MoeBlock::shared_gate, "a gate on the shared experts");
  fields.add("latent_dim", &MoeBlock::latent_dim, "width that routed experts work on; 0: d_model",
             size_or_none);
  return fields;
}

Fields<FeedForward> feed_forward() {
  Fields<FeedForward> fields;
  fields.add("kind", &FeedForward::kind, "second half of a layer");
  fields.add("ffn_dim", &FeedForward::ffn_dim, "dense: inner width");
  fields.add("gated", &FeedForward::gated, "dense: three matrices rather than two");
  fields.add("bias", &FeedForward::bias, "dense: biases");
  fields.add_table("moe", &FeedForward::moe, moe_fields());
  fields.add("norms", &FeedForward::norms, "norms around it");
  return fields;
}

Fields<ModelSpec> shape() {
  Fields<ModelSpec> fields;
  fields.add("family", &ModelSpec::family, "whose kernels and weights' names it shares").needed();
  fields.add("d_model", &ModelSpec::d_model, "width of the residual", size_range).needed();
  fields.add("vocabulary", &ModelSpec::vocabulary, "tokens", Range{1, 1e8, "from 1 to 100000000"}).needed();
  fields.add("tied_embeddings", &ModelSpec::tied_embeddings, "the output projection is the embedding table");
  fields.add("head_bias", &ModelSpec::head_bias, "the output projection has a bias");
  fields.add("learned_positions", &ModelSpec::learned_positions, "rows of a position table",
             Range{0, 1e8, "from 0 to 100000000"});
  fields.add("relative_position_buckets", &ModelSpec::relative_position_buckets, "of T5", size_or_none);
  return fields;
}

}  // namespace

const Fields<Mixer>& mixer_fields() {
  static const Fields<Mixer> fields = mixer();
  return fields;
}
const Fields<MoeBlock>& moe_fields() {
  static const Fields<MoeBlock> fields = moe();
  return fields;
}
const Fields<FeedForward>& feed_forward_fields() {
  static const Fields<FeedForward> fields = feed_forward();
  return fields;
}
const Fields<ModelSpec>& shape_fields() {
  static const Fields<ModelSpec> fields = shape();
  return fields;
}

}  // namespace pregate
