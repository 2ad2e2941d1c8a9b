// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "runtime/device.hpp"
#include "sim/program/format.hpp"

namespace pregate::runtime {

/// A feed-forward network: [inner x d_model] (twice when gated), activation, [d_model x inner].
struct FeedForward {
  int inner = 0;  ///< 0 = none
  bool gated = false;
  [[nodiscard]] int columns_in() const { return (gated ? 2 : 1) * inner; }
};

/// How the runtime executes attention.
enum class Attention {
  /// As two products of the projections' total size (d_model -> attention -> d_model): their weights are read
  /// and their FLOP done; scores over the KV cache are not.
  products,
  kv_cache,  ///< projections, keys and values that are kept on the device, scores, softmax, weighted sum
};
/// InputError for another name than "products" and "kv-cache".
Attention parse_attention(const std::string& name, const std::string& where);

/// Causal attention of grouped queries over a KV cache.
struct CachedAttention {
  int heads = 0;  ///< 0 = none
  int kv_heads = 0, head_dim = 0, value_dim = 0;
  int window = 0;  ///< tokens that are attended to, itself included; 0 = all
  [[nodiscard]] int query_width() const { return heads * head_dim; }
  [[nodiscard]] int key_width() const { return kv_heads * head_dim; }
  [[nodiscard]] int value_width() const { return kv_heads * value_dim; }
  [[nodiscard]] int output_width() const { return heads * value_dim; }
};

/// What the runtime computes of one layer.
struct LayerShape {
  bool moe = false;
  int attention = 0;           ///< Attention::products: width between the two; 0 = none
  CachedAttention over_cache;  ///< Attention::kv_cache
  FeedForward dense;           ///< of a layer without MoE; shared experts of one with
  int experts = 0;
  FeedForward expert;
};

/// How experts are stored.
struct ExpertFormat {
  /// In blocks of this format, unpacked before they are multiplied; none: as they are computed.
  std::optional<kernels::BlockFormat> blocks;
  Bytes element;  ///< of a value as it is computed
  Bytes bytes;    ///< of an expert: at least the two matrices

  /// Of so many of its weights: whole blocks, where it is stored in blocks.
  [[nodiscard]] Bytes stored(std::int64_t values) const {
    if (!blocks) return element * values;
    return {values / kernels::block_values(*blocks) * kernels::block_bytes(*blocks)};
  }
};

struct ModelShape {
  int d_model = 0;
  int vocabulary = 0;
  ElementType type = ElementType::f32;  ///< that is computed in
  Bytes element;
  ExpertFormat experts;                         ///< as the model has them
  std::optional<ExpertFormat> low;              ///< beside that, as the policy's formats.low has them
  std::vector<std::vector<LayerShape>> stacks;  ///< of the model, by layer

  /// std::bad_optional_access for a format that the run has not.
  [[nodiscard]] const ExpertFormat& in(sim::FormatId format) const {
    return format == sim::low_format ? low.value() : experts;
  }
};

/// InputError when the runtime cannot execute the model: its dense weights must be stored in one of fp32,
/// fp16 and bf16, its experts in the same or in blocks, q8_0, q4_k or mxfp4 (--weights, --dense-weights).
/// `low`: the model in the policy's formats.low, which must be one of those blocks; null: there is none.
/// Attention::kv_cache: of decoders whose layers attend as CachedAttention says, or not at all.
ModelShape model_shape(const ModelSpec& model, const Device& device, const ModelSpec* low = nullptr,
                       Attention attention = Attention::products);

/// Whether experts can be unpacked from this format, by its name.
bool is_unpacked(const std::string& format);

Bytes element_bytes(ElementType type);
const char* to_string(ElementType type);

}  // namespace pregate::runtime
