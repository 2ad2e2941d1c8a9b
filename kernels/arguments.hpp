// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

/// What the kernels take, on either device: plain pointers to row-major, dense arrays (shapes in brackets) of
/// the device's memory, and sizes. Element is float, Float16 or BFloat16; arithmetic is never done in the
/// 16-bit types. A "pair" is one of a token's choices: pair i belongs to token i / top_k. No output may
/// overlap an input or another output unless it says so. Any size of rows may be 0, and then the arrays of
/// that size may be null.
///
/// Every kernel throws std::invalid_argument, before it touches any memory, when a size is outside what is
/// said here or a pointer that it needs is null.
namespace pregate::kernels {

enum class GateWeights {
  softmax,  // the chosen experts' shares of the softmax over all experts (Switch Transformers, Qwen1.5-MoE)
  renormalised,  // divided by their sum: the softmax over the chosen ones (Mixtral, Qwen3-MoE, gpt-oss)
};

/// Router: for each token the softmax over its experts' logits, and the top_k experts with the largest
/// logits, largest first; of equal logits the lower expert comes first. Choices compare logits, not rounded
/// probabilities, so every device chooses alike.
///
/// Never returns NaN: a logit that is NaN counts as minus infinity. Logits of plus infinity share the whole
/// weight equally, and where all logits (renormalised: all chosen ones) are minus infinity, all of them share
/// it equally.
template <class Element>
struct RouterArgs {
  const Element* logits = nullptr;     // [tokens][experts]
  std::int32_t* expert_ids = nullptr;  // out [tokens][top_k]
  float* gate_weights = nullptr;       // out [tokens][top_k]
  std::int32_t tokens = 0;
  std::int32_t experts = 0;  // 1..max_experts
  std::int32_t top_k = 0;    // 1..experts
  GateWeights weights = GateWeights::renormalised;
};
inline constexpr std::int32_t max_experts = 1024;

/// Order of the pairs by expert: rows of one expert lie together, experts ascending, and inside an expert the
/// pairs ascend (stable). An id outside 0..experts-1 drops its pair: position -1, counted nowhere.
struct OrderArgs {
  const std::int32_t* expert_ids = nullptr;  // [pairs]
  std::int32_t* counts = nullptr;            // out [experts]: rows of each expert
  std::int32_t* offsets = nullptr;    // out [experts + 1]: the first row of each expert; last: rows in all
  std::int32_t* positions = nullptr;  // out [pairs]: the row of each pair, or -1
  std::int32_t* sources = nullptr;    // out [pairs]: the pair of each row; those past offsets[experts] stay
  std::int32_t pairs = 0;             // tokens * top_k
  std::int32_t experts = 0;           // 1..max_experts
};

/// Copies each token's row to the rows of its pairs: permuted[positions[i]] = tokens_in[i / top_k]. Rows that
/// no pair has stay as they are.
template <class Element>
struct PermuteArgs {
  const Element* input = nullptr;  // [tokens][width]
  const std::int32_t* positions =
      nullptr;                  // [tokens * top_k]; each value -1 or a row of `permuted`, none twice
  Element* permuted = nullptr;  // out [tokens * top_k][width]
  std::int32_t tokens = 0;      // tokens * top_k < 2^31
  std::int32_t top_k = 0;       // >= 1
  std::int32_t width = 0;       // >= 1
};

/// The inverse: output[i] = permuted[positions[i]]; zeros for a dropped pair.
template <class Element>
struct UnpermuteArgs {
  const Element* permuted = nullptr;        // [pairs][width]
  const std::int32_t* positions = nullptr;  // [pairs]
  Element* output = nullptr;                // out [pairs][width]
  std::int32_t pairs = 0;
  std::int32_t width = 0;  // >= 1
};

enum class Activation {
  relu,    // max(x, 0); NaN stays
  silu,    // x / (1 + exp(-x))
  gelu,    // tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks & Gimpel 2016
  swiglu,  // silu(gate) * up
  geglu,   // gelu(gate) * up, gelu as above (T5 1.1, Gemma)
};
constexpr bool is_gated(Activation kind) { return kind == Activation::swiglu || kind == Activation::geglu; }

template <class Element>
struct ActivationArgs {
  const Element* input =
      nullptr;                // [rows][width]; gated: [rows][2 * width], each row the gates, then the ups
  Element* output = nullptr;  // out [rows][width]; may be `input` itself when not gated
  std::int32_t rows = 0;
  std::int32_t width = 0;  // >= 1; gated: < 2^30
  Activation kind = Activation::relu;
};

/// Weighted sum of the experts' rows back at their tokens:
/// output[t] = sum over k of gate_weights[t][k] * permuted[positions[t][k]] + shared_weights[t] * shared[t] +
/// residual[t], added in this order (deterministic). A dropped pair adds nothing.
template <class Element>
struct CombineArgs {
  const Element* permuted = nullptr;        // [tokens * top_k][width]
  const std::int32_t* positions = nullptr;  // [tokens][top_k]
  const float* gate_weights = nullptr;      // [tokens][top_k]
  const Element* shared = nullptr;          // optional [tokens][width]: the shared expert's output
  const float* shared_weights = nullptr;    // optional [tokens]; 1 when null
  const Element* residual = nullptr;        // optional [tokens][width]
  Element* output = nullptr;                // out [tokens][width]; may be `residual` or `shared` itself
  std::int32_t tokens = 0;                  // tokens * top_k < 2^31
  std::int32_t top_k = 0;                   // >= 1
  std::int32_t width = 0;                   // >= 1
};

/// output = input / sqrt(mean of input^2 over the row + epsilon) * weight (Zhang & Sennrich 2019). Squares
/// are summed in float on a GPU: rows whose sum of squares reaches 2^128 overflow there.
template <class Element>
struct RmsNormArgs {
  const Element* input = nullptr;   // [rows][width]
  const Element* weight = nullptr;  // [width]
  Element* output = nullptr;        // out [rows][width]; may be `input` itself
  std::int32_t rows = 0;
  std::int32_t width = 0;  // >= 1
  float epsilon = 1e-6F;   // > 0
};

/// Attention of tokens to rows of a cache: a token's query head h reads the keys and values of head
/// h / (heads / kv_heads), and gives the sum of the values of its rows, weighed by the softmax of scale x
/// query . key over them. Token t attends to rows firsts[t] .. firsts[t] + counts[t] - 1; to none: zeros.
/// What is causal and how far a window reaches the caller says by these rows.
///
/// Scores are kept within the range of float, and one that is NaN counts as its lowest number: the weights
/// are never NaN, and scores that are too large share the whole weight equally.
template <class Element>
struct AttentionArgs {
  const Element* queries = nullptr;      // [tokens][heads * head_dim]
  const Element* keys = nullptr;         // [rows of the cache][kv_heads * head_dim]
  const Element* values = nullptr;       // [rows of the cache][kv_heads * value_dim]
  const std::int32_t* firsts = nullptr;  // [tokens]
  const std::int32_t* counts = nullptr;  // [tokens]
  Element* output = nullptr;             // out [tokens][heads * value_dim]
  std::int32_t tokens = 0;               // tokens * heads < 2^31
  std::int32_t heads = 0;                // 1..65536
  std::int32_t kv_heads = 0;             // >= 1; heads is a multiple of it
  std::int32_t head_dim = 0;             // 1..max_head_dim
  std::int32_t value_dim = 0;            // 1..max_head_dim
  float scale = 1;                       // finite
};
inline constexpr std::int32_t max_head_dim = 256;

/// How weights are stored in blocks, in the layouts of ggml (ggml-common.h).
enum class BlockFormat {
  q8_0,   // 32 values: a binary16 scale, 32 signed bytes: 34 bytes
  mxfp4,  // 32 values: an E8M0 scale (255: NaN), E2M1 values, i and i + 16 in one byte: 17 bytes (OCP MX 1.0)
  q4_k,   // 256 values: binary16 scales d and dmin, 12 bytes that pack a 6-bit scale s and a 6-bit minimum m
          // for each 32 values, 128 bytes of 4-bit numbers n: d * s * n - dmin * m: 144 bytes
};
constexpr int block_values(BlockFormat format) { return format == BlockFormat::q4_k ? 256 : 32; }
constexpr int block_bytes(BlockFormat format) {
  return format == BlockFormat::q8_0 ? 34 : format == BlockFormat::mxfp4 ? 17 : 144;
}

/// values[i] = what its block says, in binary32 (of q4_k the difference is rounded there, all else is exact),
/// rounded to Element.
template <class Element>
struct DequantizeArgs {
  const std::uint8_t* blocks = nullptr;  // [count][block_bytes(format)], at any address
  Element* values = nullptr;             // out [count][block_values(format)]
  std::int32_t count = 0;
  BlockFormat format = BlockFormat::q8_0;
};

}  // namespace pregate::kernels
