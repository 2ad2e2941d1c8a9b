// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/check.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace pregate::kernels {
namespace {

constexpr std::int32_t max_size = std::numeric_limits<std::int32_t>::max();

void require_size(const char* kernel, const char* name, std::int32_t value, std::int32_t low,
                  std::int32_t high) {
  if (value >= low && value <= high) return;
  throw std::invalid_argument(std::string(kernel) + ": " + name + " is " + std::to_string(value) +
                              ", not in " + std::to_string(low) + ".." + std::to_string(high));
}

void require_pairs(const char* kernel, std::int32_t tokens, std::int32_t top_k) {
  require_size(kernel, "top_k", top_k, 1, max_size);
  require_size(kernel, "tokens", tokens, 0, max_size / top_k);  // pairs are counted in 32 bits
}

/// `rows` is the size that excuses a null pointer when it is 0.
void require_memory(const char* kernel, const char* name, const void* pointer, std::int32_t rows) {
  if (pointer == nullptr && rows != 0)
    throw std::invalid_argument(std::string(kernel) + ": " + name + " is null");
}

}  // namespace

template <class Element>
void check(const RouterArgs<Element>& args) {
  require_size("router", "experts", args.experts, 1, max_experts);
  require_size("router", "top_k", args.top_k, 1, args.experts);
  require_pairs("router", args.tokens, args.top_k);
  require_memory("router", "logits", args.logits, args.tokens);
  require_memory("router", "expert_ids", args.expert_ids, args.tokens);
  require_memory("router", "gate_weights", args.gate_weights, args.tokens);
}

void check(const OrderArgs& args) {
  require_size("order", "experts", args.experts, 1, max_experts);
  require_size("order", "pairs", args.pairs, 0, max_size);
  require_memory("order", "counts", args.counts, args.experts);
  require_memory("order", "offsets", args.offsets, args.experts);
  require_memory("order", "expert_ids", args.expert_ids, args.pairs);
  require_memory("order", "positions", args.positions, args.pairs);
  require_memory("order", "sources", args.sources, args.pairs);
}

template <class Element>
void check(const PermuteArgs<Element>& args) {
  require_pairs("permute", args.tokens, args.top_k);
  require_size("permute", "width", args.width, 1, max_size);
  require_memory("permute", "input", args.input, args.tokens);
  require_memory("permute", "positions", args.positions, args.tokens);
  require_memory("permute", "permuted", args.permuted, args.tokens);
}

template <class Element>
void check(const UnpermuteArgs<Element>& args) {
  require_size("unpermute", "pairs", args.pairs, 0, max_size);
  require_size("unpermute", "width", args.width, 1, max_size);
  require_memory("unpermute", "permuted", args.permuted, args.pairs);
  require_memory("unpermute", "positions", args.positions, args.pairs);
  require_memory("unpermute", "output", args.output, args.pairs);
}

template <class Element>
void check(const ActivationArgs<Element>& args) {
  require_size("activation", "kind", static_cast<std::int32_t>(args.kind), 0,
               static_cast<std::int32_t>(Activation::geglu));
  require_size("activation", "rows", args.rows, 0, max_size);
  require_size("activation", "width", args.width, 1, is_gated(args.kind) ? max_size / 2 : max_size);
  require_memory("activation", "input", args.input, args.rows);
  require_memory("activation", "output", args.output, args.rows);
  if (is_gated(args.kind) && args.rows != 0 && static_cast<const void*>(args.output) == args.input)
    throw std::invalid_argument("activation: a gated one cannot write over its input");
}

template <class Element>
void check(const CombineArgs<Element>& args) {
  require_pairs("combine", args.tokens, args.top_k);
  require_size("combine", "width", args.width, 1, max_size);
  require_memory("combine", "permuted", args.permuted, args.tokens);
  require_memory("combine", "positions", args.positions, args.tokens);
  require_memory("combine", "gate_weights", args.gate_weights, args.tokens);
  require_memory("combine", "output", args.output, args.tokens);
  if (args.shared_weights != nullptr && args.tokens != 0)
    require_memory("combine", "shared (of shared_weights)", args.shared, args.tokens);
}

template <class Element>
void check(const RmsNormArgs<Element>& args) {
  require_size("rms_norm", "rows", args.rows, 0, max_size);
  require_size("rms_norm", "width", args.width, 1, max_size);
  if (!(args.epsilon > 0.0F && std::isfinite(args.epsilon)))
    throw std::invalid_argument("rms_norm: epsilon is " + std::to_string(args.epsilon) +
                                ", not a positive number");
  require_memory("rms_norm", "input", args.input, args.rows);
  require_memory("rms_norm", "weight", args.weight, args.rows);
  require_memory("rms_norm", "output", args.output, args.rows);
}

template <class Element>
void check(const AttentionArgs<Element>& args) {
  constexpr std::int32_t max_heads = 65536;
  require_size("attention", "heads", args.heads, 1, max_heads);
  require_size("attention", "kv_heads", args.kv_heads, 1, args.heads);
  if (args.heads % args.kv_heads != 0) {
    throw std::invalid_argument("attention: " + std::to_string(args.heads) + " heads cannot share " +
                                std::to_string(args.kv_heads) + " of keys and values equally");
  }
  require_size("attention", "head_dim", args.head_dim, 1, max_head_dim);
  require_size("attention", "value_dim", args.value_dim, 1, max_head_dim);
  require_size("attention", "tokens", args.tokens, 0, max_size / args.heads);
  if (!std::isfinite(args.scale)) throw std::invalid_argument("attention: scale is not a finite number");
  require_memory("attention", "queries", args.queries, args.tokens);
  require_memory("attention", "keys", args.keys, args.tokens);
  require_memory("attention", "values", args.values, args.tokens);
  require_memory("attention", "firsts", args.firsts, args.tokens);
  require_memory("attention", "counts", args.counts, args.tokens);
  require_memory("attention", "output", args.output, args.tokens);
}

template <class Element>
void check(const DequantizeArgs<Element>& args) {
  require_size("dequantize", "format", static_cast<std::int32_t>(args.format), 0,
               static_cast<std::int32_t>(BlockFormat::q4_k));
  require_size("dequantize", "count", args.count, 0, max_size / block_values(args.format));
  require_memory("dequantize", "blocks", args.blocks, args.count);
  require_memory("dequantize", "values", args.values, args.count);
}

#define PREGATE_INSTANTIATE(Element)                   \
  template void check(const RouterArgs<Element>&);     \
  template void check(const PermuteArgs<Element>&);    \
  template void check(const UnpermuteArgs<Element>&);  \
  template void check(const ActivationArgs<Element>&); \
  template void check(const CombineArgs<Element>&);    \
  template void check(const RmsNormArgs<Element>&);    \
  template void check(const AttentionArgs<Element>&);  \
  template void check(const DequantizeArgs<Element>&);
PREGATE_INSTANTIATE(float)
PREGATE_INSTANTIATE(Float16)
PREGATE_INSTANTIATE(BFloat16)
#undef PREGATE_INSTANTIATE

}  // namespace pregate::kernels
