// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "models/formats/ggml_types.hpp"

namespace pregate {

/// What a tensor is to the rules of llama.cpp's quantisation (llama-quant.cpp, tensor_category).
enum class TensorRole {
  attention_q,
  attention_k,
  attention_v,  ///< also the fused q, k and v, and the key-value expansion of latent attention
  attention_output,
  ffn_gate,  ///< routed, shared or dense alike
  ffn_up,
  ffn_down,
  other,  ///< projections that no rule names: latent attention's low-rank ones, those of linear attention
  embedding,
  output,
};

/// Where a tensor stands; what the rules ask about the model.
struct TensorPlace {
  TensorRole role = TensorRole::other;
  bool routed = false;                            ///< of a feed-forward: of the routed experts
  int layer = 0, layers = 1;                      ///< of the model
  int attention_layer = 0, attention_layers = 1;  ///< counted among the layers that have attention
  int experts = 0;                                ///< routed ones a layer
  int query_group = 1;                            ///< query heads a key-value head
  std::int64_t row = 0;                           ///< values a row (the input width); 0 = whole blocks
};

/// A file of quantised weights, named as llama-quantize or Unsloth name it: not one type, but a rule that
/// chooses each tensor's.
struct FileMix {
  std::string_view name;  ///< "q4_k_m"; "iq4_xs_mix" where a tensor type has the file's name
  std::string_view what;
  bool approximate = false;  ///< the file's makers choose by model; this is what their files come close to
};

std::span<const FileMix> file_mixes();
const FileMix* file_mix(std::string_view name);  ///< nullptr: no such mix

/// Layers and a matrix of an expert in one of them that stand for those of any model where a mixture is
/// described by itself.
inline constexpr int mean_layers = 48;
inline TensorPlace mean_expert(TensorRole role, int layer) {
  return {.role = role, .routed = true, .layer = layer, .layers = mean_layers, .experts = 128};
}

/// The type of a tensor in such a file. A row that is no whole number of blocks takes the type that
/// llama-quantize falls back to. Files of i-quants are taken as made with an importance matrix, others as
/// without.
const GgmlType& type_in(const FileMix& mix, const TensorPlace& place);

}  // namespace pregate
