// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pregate::runtime {

/// One matrix of one routed expert, stored [output x input] as PyTorch's linear layers are.
struct ExpertMatrix {
  /// gate and up of a gated expert, in of one that is not: [ffn x d_model]. out: [d_model x ffn].
  enum class Part { gate, up, in, out };

  std::string stack;  ///< "encoder" or "decoder"
  int layer = 0;      ///< in its stack
  int expert = 0;
  Part part = Part::in;
};

/// Which expert's matrix a tensor is, by the names of Hugging Face's checkpoints; nothing when it is none:
///   model.layers.L.block_sparse_moe.experts.E.w1|w3|w2.weight              gate, up, out (Mixtral,
///   Phi-3.5-MoE) model.layers.L.mlp.experts.E.gate_proj|up_proj|down_proj.weight        (Qwen, DeepSeek,
///   OLMoE) decoder.block.L.layer.2.mlp.experts.expert_E.wi|wo.weight              in, out (Switch
///   Transformers) encoder.block.L.layer.1.mlp.experts.expert_E.wi|wo.weight
std::optional<ExpertMatrix> expert_matrix(std::string_view tensor);

}  // namespace pregate::runtime
