// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Keys and tensor names are those of llama.cpp (src/llama-arch.cpp, gguf-py/gguf/constants.py); which layers
// have a window, where no key says it, is in its src/models.
#include <algorithm>
#include <array>
#include <optional>

#include "models/files/gguf_layers.hpp"

namespace pregate {
namespace {

constexpr int widest = 1 << 20;
constexpr int most_heads = 1 << 16;

/// Architectures that say how long the window is, but whose pattern is in llama.cpp's code: each `period`-th
/// layer is full, the others have the window; 0: llama.cpp uses none.
struct WindowRule {
  std::string_view architecture;
  int period;
};
constexpr std::array window_rules{
    WindowRule{"gpt-oss", 2},    WindowRule{"llama4", 4},      WindowRule{"exaone-moe", 4},
    WindowRule{"afmoe", 4},      WindowRule{"llama", 0},       WindowRule{"qwen2moe", 0},
    WindowRule{"qwen3moe", 0},   WindowRule{"qwen3vlmoe", 0},  WindowRule{"phimoe", 0},
    WindowRule{"granitemoe", 0}, WindowRule{"olmoe", 0},       WindowRule{"deepseek2", 0},
    WindowRule{"bailingmoe", 0}, WindowRule{"hunyuan-moe", 0}, WindowRule{"glm4moe", 0},
    WindowRule{"minimax-m2", 0},
};

std::string at_layer(int layer) { return "layer " + std::to_string(layer) + ": "; }

/// Tokens that attention of this layer keeps; 0 = all.
int window_of(const GgufKeys& keys, std::string_view architecture, int layer) {
  constexpr const char* key = "attention.sliding_window";
  // Llama 4 attends within chunks of 8192 tokens unless its file says 0.
  const int window = keys.number_or(key, 0, widest * 16, architecture == "llama4" ? 8192 : 0);
  if (window == 0) return 0;
  const auto* const rule = std::find_if(window_rules.begin(), window_rules.end(),
                                        [&](const WindowRule& r) { return r.architecture == architecture; });
  int period = rule == window_rules.end() ? -1 : rule->period;
  constexpr const char* pattern = "attention.sliding_window_pattern";
  if (keys.is_list(pattern)) return keys.of_layer(pattern, layer, 0, 1) == 1 ? window : 0;
  period = keys.number_or(pattern, 0, widest, period);
  if (period < 0) {
    keys.refuse("says " + std::string(key) + ", but not which layers have the window (" + pattern + ")",
                "without it the cache cannot be priced; convert it with a current llama.cpp");
  }
  return period == 0 ? 0 : period == 1 || layer % period < period - 1 ? window : 0;
}

Mixer read_grouped_query(const GgufKeys& keys, std::string_view architecture, const GgufLayer& tensors,
                         int layer, int d_model) {
  Mixer mixer;
  mixer.heads = keys.of_layer("attention.head_count", layer, 1, most_heads);
  mixer.window = window_of(keys, architecture, layer);
  for (const auto& [name, tensor] : tensors.tensors()) {
    if (name.starts_with("indexer."))
      keys.refuse(at_layer(layer) + "has sparse attention of a kind that is not known here (" + name + ")");
  }
  const bool windowed = mixer.window > 0 && keys.has("attention.key_length_swa");
  const int width = keys.of_layer_or("attention.key_length", layer, 1, widest, d_model / mixer.heads);
  mixer.head_dim = windowed ? keys.of_layer("attention.key_length_swa", layer, 1, widest) : width;
  mixer.v_head_dim = windowed
                         ? keys.of_layer_or("attention.value_length_swa", layer, 1, widest, mixer.head_dim)
                         : keys.of_layer_or("attention.value_length", layer, 1, widest, mixer.head_dim);
  mixer.kv_heads = keys.of_layer_or("attention.head_count_kv", layer, 0, most_heads, mixer.heads);
  if (mixer.kv_heads == 0) keys.refuse(at_layer(layer) + "has attention, but attention.head_count_kv is 0");
  const std::int64_t query = std::int64_t{mixer.heads} * mixer.head_dim;
  const std::int64_t key = std::int64_t{mixer.kv_heads} * mixer.head_dim;
  const std::int64_t value = std::int64_t{mixer.kv_heads} * mixer.v_head_dim;
  const auto expect = [&](const char* name, std::int64_t wanted) {
    if (tensors.size(name, 1) == wanted) return;
    keys.refuse(at_layer(layer) + name + " has " + std::to_string(tensors.size(name, 1)) + " columns, but " +
                    std::to_string(mixer.heads) + " heads, " + std::to_string(mixer.kv_heads) +
                    " for keys, of " + std::to_string(mixer.head_dim) + " and " +
                    std::to_string(mixer.v_head_dim) + " make " + std::to_string(wanted),
                "attention of another shape is not known here; describe the model in TOML (docs/models.md)");
  };
  if (tensors.has("attn_qkv")) {
    expect("attn_qkv", query + key + value);
  } else {
    mixer.output_gate = tensors.size("attn_q", 1) == 2 * query;
    expect("attn_q", mixer.output_gate ? 2 * query : query);
    if (!tensors.has("attn_k"))
      keys.refuse(at_layer(layer) +
                  "has attn_q, but no attn_k: keys shared between layers are not known here");
    expect("attn_k", key);
    mixer.value_is_key = !tensors.has("attn_v");
    if (!mixer.value_is_key) expect("attn_v", value);
  }
  if (tensors.has("attn_gate")) {
    const std::int64_t gate = tensors.size("attn_gate", 1);
    if (gate == mixer.heads) {
      mixer.head_gate = true;
    } else if (gate == query && !mixer.output_gate) {
      mixer.output_gate = true;
    } else {
      expect("attn_gate", query);
    }
  }
  mixer.qkv_bias = tensors.find("attn_q.bias") != nullptr || tensors.find("attn_qkv.bias") != nullptr;
  mixer.output_bias = tensors.find("attn_output.bias") != nullptr;
  if (tensors.has("attn_q_norm")) {
    mixer.qk_norm_full_width = tensors.size("attn_q_norm", 0) == query && mixer.heads > 1;
    mixer.qk_norm = !mixer.qk_norm_full_width;
  }
  mixer.sinks = tensors.has("attn_sinks");
  return mixer;
}

Mixer read_latent(const GgufKeys& keys, const GgufLayer& tensors, int layer) {
  Mixer mixer;
  mixer.kind = MixerKind::multi_head_latent;
  mixer.heads = keys.of_layer("attention.head_count", layer, 1, most_heads);
  mixer.q_lora_rank = tensors.has("attn_q_a") ? keys.number("attention.q_lora_rank", 1, widest) : 0;
  mixer.kv_lora_rank = keys.number("attention.kv_lora_rank", 1, widest);
  mixer.qk_rope_head_dim = keys.number("rope.dimension_count", 1, widest);
  // Since its cache holds latents, llama.cpp writes the widths of a head under keys of their own.
  const bool absorbed = keys.has("attention.key_length_mla");
  const int key = keys.number(absorbed ? "attention.key_length_mla" : "attention.key_length", 1, widest);
  if (key <= mixer.qk_rope_head_dim)
    keys.refuse("attention.key_length is not larger than rope.dimension_count");
  mixer.qk_nope_head_dim = key - mixer.qk_rope_head_dim;
  mixer.v_head_dim =
      keys.number(absorbed ? "attention.value_length_mla" : "attention.value_length", 1, widest);
  if (tensors.size("attn_kv_a_mqa", 1) != mixer.kv_lora_rank + mixer.qk_rope_head_dim)
    keys.refuse(at_layer(layer) +
                "attn_kv_a_mqa is not as wide as attention.kv_lora_rank and rope.dimension_count");
  if (tensors.has("indexer.attn_k") || tensors.has("indexer.attn_q_b")) {
    mixer.indexer.heads = keys.number("attention.indexer.head_count", 1, most_heads);
    mixer.indexer.head_dim = keys.number("attention.indexer.key_length", 1, widest);
    mixer.indexer.top_k = keys.number("attention.indexer.top_k", 1, widest);
  }
  return mixer;
}

/// Linear attention of Qwen3-Next: keys of Mamba name its sizes.
Mixer read_gated_delta_net(const GgufKeys& keys, int layer) {
  Mixer mixer;
  mixer.kind = MixerKind::gated_delta_net;
  mixer.heads = keys.number("ssm.time_step_rank", 1, most_heads);
  mixer.key_heads = keys.number("ssm.group_count", 1, most_heads);
  mixer.head_dim = keys.number("ssm.state_size", 1, widest);
  const int inner = keys.number("ssm.inner_size", 1, widest);
  if (inner % mixer.heads != 0)
    keys.refuse(at_layer(layer) + "ssm.inner_size is no multiple of ssm.time_step_rank");
  mixer.v_head_dim = inner / mixer.heads;
  mixer.conv_kernel = keys.number("ssm.conv_kernel", 1, 1024);
  return mixer;
}

Mixer read_kimi_delta(const GgufKeys& keys, int layer) {
  Mixer mixer;
  mixer.kind = MixerKind::kimi_delta;
  mixer.heads = mixer.key_heads = keys.of_layer("attention.head_count", layer, 1, most_heads);
  mixer.head_dim = mixer.v_head_dim = keys.number("kda.head_dim", 1, widest);
  mixer.conv_kernel = keys.number("ssm.conv_kernel", 1, 1024);
  return mixer;
}

Mixer read_mamba(const GgufKeys& keys, const GgufLayer& tensors, int layer) {
  Mixer mixer;
  if (tensors.has("ssm_x")) {
    mixer.kind = MixerKind::mamba;
    mixer.heads = keys.number("ssm.inner_size", 1, most_heads);
    mixer.head_dim = 1;
    mixer.state_dim = keys.number("ssm.state_size", 1, most_heads);
    mixer.step_rank = keys.number("ssm.time_step_rank", 1, most_heads);
    mixer.conv_kernel = keys.number("ssm.conv_kernel", 1, 1024);
    mixer.qkv_bias = tensors.find("ssm_conv1d.bias") != nullptr;
    return mixer;
  }
  mixer.kind = MixerKind::mamba2;
  mixer.heads = keys.number("ssm.time_step_rank", 1, most_heads);
  const int inner = keys.number("ssm.inner_size", 1, widest);
  if (inner % mixer.heads != 0)
    keys.refuse(at_layer(layer) + "ssm.inner_size is no multiple of ssm.time_step_rank");
  mixer.head_dim = inner / mixer.heads;
  mixer.groups = keys.number("ssm.group_count", 1, most_heads);
  mixer.state_dim = keys.number("ssm.state_size", 1, widest);
  mixer.conv_kernel = keys.number("ssm.conv_kernel", 1, 1024);
  mixer.qkv_bias = tensors.find("ssm_conv1d.bias") != nullptr;
  return mixer;
}

Mixer read_short_convolution(const GgufKeys& keys, const GgufLayer& tensors, int layer, int d_model) {
  Mixer mixer;
  mixer.kind = MixerKind::short_convolution;
  mixer.conv_kernel = keys.number("shortconv.l_cache", 1, 1024);
  mixer.heads = d_model;
  mixer.head_dim = 1;
  if (tensors.size("shortconv.in_proj", 1) != 3 * std::int64_t{d_model})
    keys.refuse(at_layer(layer) +
                "shortconv.in_proj does not make a value and two gates of embedding_length");
  mixer.qkv_bias = tensors.find("shortconv.in_proj.bias") != nullptr;
  mixer.output_bias = tensors.find("shortconv.out_proj.bias") != nullptr;
  return mixer;
}

/// By what tensors there are.
Mixer read_kind(const GgufKeys& keys, std::string_view architecture, const GgufLayer& tensors, int layer,
                int d_model) {
  if (tensors.has("ssm_f_a") || tensors.has("ssm_conv1d_q")) return read_kimi_delta(keys, layer);
  if (tensors.has("ssm_ba") || tensors.has("ssm_beta") || tensors.has("ssm_alpha"))
    return read_gated_delta_net(keys, layer);
  if (tensors.has("ssm_in")) return read_mamba(keys, tensors, layer);
  if (tensors.has("shortconv.in_proj")) return read_short_convolution(keys, tensors, layer, d_model);
  if (tensors.has("attn_kv_a_mqa")) return read_latent(keys, tensors, layer);
  if (tensors.has("attn_q") || tensors.has("attn_qkv"))
    return read_grouped_query(keys, architecture, tensors, layer, d_model);
  for (const auto& [name, tensor] : tensors.tensors()) {
    if (part_of(name) != GgufPart::mixer || tensor->dims.size() < 2) continue;
    keys.refuse(at_layer(layer) + "mixes tokens in a way that is not known here (" + name + ")",
                "describe the model in TOML (docs/models.md)");
  }
  Mixer none;
  none.kind = MixerKind::none;
  return none;
}

}  // namespace

Mixer read_gguf_mixer(const GgufKeys& keys, std::string_view architecture, const GgufLayer& tensors,
                      int layer, int d_model) {
  Mixer mixer = read_kind(keys, architecture, tensors, layer, d_model);
  // Gemma's norms behind the attention; in other files this name is the norm before the feed-forward.
  if (tensors.has("post_attention_norm") && tensors.has("ffn_norm")) mixer.norms = 2;
  return mixer;
}

}  // namespace pregate
