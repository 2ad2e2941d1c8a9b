// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/model.hpp"
#include "runtime/device.hpp"

namespace pregate::runtime {

/// A feed-forward network: [inner x d_model] (twice when gated), activation, [d_model x inner].
struct FeedForward {
  int inner = 0;  ///< 0 = none
  bool gated = false;
  [[nodiscard]] int columns_in() const { return (gated ? 2 : 1) * inner; }
};

/// What the runtime computes of one layer. Attention is executed as two products of the projections' total
/// size (d_model -> attention -> d_model): their weights are read and their FLOP done, the scores over the
/// KV cache are not.
struct LayerShape {
  bool moe = false;
  int attention = 0;  ///< width between the two products
  FeedForward dense;  ///< of a layer without MoE; shared experts of one with
  int experts = 0;
  FeedForward expert;
};

struct ModelShape {
  int d_model = 0;
  int vocabulary = 0;
  ElementType type = ElementType::f32;
  Bytes element;
  /// Experts are stored in blocks of this format and unpacked for `type` before they are multiplied; none:
  /// they are stored in `type`.
  std::optional<kernels::BlockFormat> blocks;
  Bytes expert_bytes;                           ///< as stored: at least the two matrices
  std::vector<std::vector<LayerShape>> stacks;  ///< of the model, by layer

  /// Of so many weights of an expert: whole blocks, where it is stored in blocks.
  [[nodiscard]] Bytes stored(std::int64_t values) const {
    if (!blocks) return element * values;
    return {values / kernels::block_values * kernels::block_bytes(*blocks)};
  }
};

/// InputError when the runtime cannot execute the model: its dense weights must be stored in one of fp32,
/// fp16 and bf16, its experts in the same or in blocks, q8_0 or mxfp4 (--weights, --dense-weights).
ModelShape model_shape(const ModelSpec& model, const Device& device);

Bytes element_bytes(ElementType type);
const char* to_string(ElementType type);

}  // namespace pregate::runtime
