// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/kernel_prices.hpp"

#include <algorithm>
#include <cmath>

#include "sim/cost/kernel_parts.hpp"

namespace pregate::sim {

namespace {

/// Tokens of a sequence up to which its heads' queries share the rows of a decode kernel.
constexpr int most_drafts = 16;
/// sort by expert, up, activation, down, combine
constexpr int expert_kernels = 5;

/// Keys of the first part of the cache that a token looks at, at most; 0 = all.
std::int64_t chosen_keys(const Mixer& mixer) { return mixer.indexer.heads == 0 ? 0 : mixer.indexer.top_k; }

std::int64_t narrower(std::int64_t window, std::int64_t chosen) {
  return window == 0 || chosen == 0 ? std::max(window, chosen) : std::min(window, chosen);
}

LinearShape linear_shape(const Mixer& mixer, std::int64_t sequences, std::int64_t tokens) {
  return {.batch = sequences,
          .tokens = tokens,
          .key_heads = std::max(1, mixer.key_heads),
          .key_dim = mixer.head_dim,
          .value_heads = mixer.heads,
          .value_dim = mixer.value_dim(),
          .taps = mixer.conv_kernel};
}

bool decodes(const AlikeSequences& rows, double each) {
  return each <= 1 || (each <= most_drafts && rows.position > 0);
}

}  // namespace

double prompt_part(std::span<const AlikeSequences> alike) {
  double prompts = 0, all = 0;
  for (const AlikeSequences& rows : alike) {
    all += rows.tokens;
    if (!decodes(rows, static_cast<double>(rows.tokens) / std::max(1, rows.sequences)))
      prompts += rows.tokens;
  }
  return all > 0 ? prompts / all : 0;
}

/// Sequences of one decode kernel.
struct KernelPrices::Rows {
  double sequences = 0, tokens = 0, keys = 0;
};

double KernelPrices::product_seconds(const Product& product, std::int64_t tokens) const {
  const KernelChoice& kernel = product.kernel_for(tokens);
  KernelConstants constants = kernel.constants;
  if (pass_ == Pass::replayed && launched_from_python(constants)) {
    // One that quantises the activations, and the product itself.
    if (const KernelFit* bf16 = gpu_.find(KernelFamily::gemm, "bf16"))
      constants.floor_s = std::min(constants.floor_s, 2 * bf16->constants.floor_s);
  }
  return gemm_time({tokens, product.n, product.k}, gpu_.peaks(), kernel.format, constants);
}

GpuTime KernelPrices::products(std::span<const Product> products, std::int64_t tokens) const {
  if (tokens <= 0) return {};
  double seconds = 0;
  for (const Product& product : products) seconds += product_seconds(product, tokens);
  return kernels(seconds, static_cast<int>(products.size()));
}

double KernelPrices::latent_seconds(const MlaShape& shape, const KernelChoice& kernel) const {
  KernelConstants constants = kernel.constants;
  double start = 0;
  if (pass_ == Pass::replayed && launched_from_python(constants)) {
    // The walk through the keys and what joins its parts start as other attention does.
    if (const KernelFit* bf16 = gpu_.find(KernelFamily::attention_decode, "bf16")) {
      start = 2 * bf16->constants.floor_s;
      constants.floor_s = 0;
    }
  }
  return start + mla_decode_time(shape, gpu_.peaks(), kernel.format, constants);
}

double KernelPrices::decode_seconds(const LayerKernels& layer, const Rows& rows) const {
  const Mixer& mixer = layer.mixer;
  const auto sequences = static_cast<std::int64_t>(rows.sequences);
  const std::int64_t each = std::max<std::int64_t>(1, std::llround(rows.tokens / rows.sequences));
  const std::int64_t chosen = chosen_keys(mixer);
  std::int64_t context = std::max<std::int64_t>(1, std::llround(rows.keys / rows.sequences));
  if (layer.scores == LayerKernels::Scores::latent) {
    if (chosen > 0) context = std::min(context, chosen);
    return latent_seconds({sequences, context, mixer.heads * each}, *layer.decode);
  }
  return attention_decode_time({.batch = sequences,
                                .queries = 1,
                                .context = context,
                                .heads = mixer.heads * each,
                                .kv_heads = mixer.kv_heads,
                                .head_dim = (mixer.head_dim + mixer.value_dim()) / 2,
                                .window = narrower(mixer.window, chosen)},
                               gpu_.peaks(), layer.decode->format, layer.decode->constants);
}

double KernelPrices::prompt_seconds(const LayerKernels& layer, const AlikeSequences& rows) const {
  const Mixer& mixer = layer.mixer;
  const std::int64_t sequences = std::max(1, rows.sequences), each = rows.tokens / sequences;
  const bool latent = layer.scores == LayerKernels::Scores::latent;
  // Latent attention of a prompt works on the expanded keys and values; those of earlier chunks are expanded
  // anew by the product that the projections have for the chunk's own.
  double seconds = 0;
  if (latent && rows.position > 0) {
    const std::int64_t nope = mixer.qk_nope_head_dim;
    Product expand = layer.projections.front();
    expand.n = mixer.heads * (nope + (mixer.v_head_dim > 0 ? mixer.v_head_dim : nope));
    expand.k = mixer.kv_lora_rank;
    seconds += product_seconds(expand, sequences * rows.position);
  }
  // Values are padded to the width of the keys, as FlashAttention 2 wants them.
  const int dim =
      latent ? mixer.qk_nope_head_dim + mixer.qk_rope_head_dim : (mixer.head_dim + mixer.value_dim()) / 2;
  return seconds + attention_prefill_time({.batch = sequences,
                                           .queries = each,
                                           .context = rows.position + each,
                                           .heads = mixer.heads,
                                           .kv_heads = latent ? mixer.heads : mixer.kv_heads,
                                           .head_dim = dim,
                                           .window = narrower(mixer.window, chosen_keys(mixer))},
                                          gpu_.peaks(), layer.prefill->format, layer.prefill->constants);
}

GpuTime KernelPrices::scores(const LayerKernels& layer, std::span<const AlikeSequences> alike) const {
  const bool linear = layer.scores == LayerKernels::Scores::delta;
  Rows decoding;
  double seconds = 0;
  int count = 0, groups = 0;
  for (const AlikeSequences& rows : alike) {
    const int sequences = std::max(1, rows.sequences);
    const double each = static_cast<double>(rows.tokens) / sequences;
    if (rows.tokens <= 0) continue;
    if (decodes(rows, each) && !(linear && each > 1)) {
      decoding.sequences += sequences;
      decoding.tokens += rows.tokens;
      decoding.keys += sequences * (rows.position + each);
      continue;
    }
    ++groups;
    if (linear) {
      const LinearShape shape = linear_shape(layer.mixer, sequences, rows.tokens / sequences);
      seconds += conv_prefill_time(shape, gpu_.peaks(), layer.conv_prefill->constants) +
                 delta_prefill_time(shape, gpu_.peaks(), layer.prefill->constants);
    } else {
      seconds += prompt_seconds(layer, rows);
    }
  }
  const int kernels_each = linear ? 2 : 1;
  if (groups > 0) {
    // One call for all of them.
    const double floor =
        layer.prefill->constants.floor_s + (linear ? layer.conv_prefill->constants.floor_s : 0);
    seconds -= (groups - 1) * floor;
    count += kernels_each;
  }
  if (decoding.sequences > 0) {
    if (linear) {
      const LinearShape shape = linear_shape(layer.mixer, static_cast<std::int64_t>(decoding.sequences), 1);
      seconds += conv_decode_time(shape, gpu_.peaks(), layer.conv_decode->constants) +
                 delta_decode_time(shape, gpu_.peaks(), layer.decode->constants);
    } else {
      seconds += decode_seconds(layer, decoding);
    }
    count += kernels_each;
  }
  return kernels(seconds, count);
}

GpuTime KernelPrices::experts(const LayerKernels& layer, std::span<const std::uint32_t> counts,
                              const ExpertLayer& of) const {
  const MoeShape shape{expert_load(counts, of), layer.expert_width, layer.expert_inner, layer.gated};
  return kernels(fused_moe_time(shape, gpu_.peaks(), layer.experts->format, layer.experts->constants),
                 expert_kernels);
}

}  // namespace pregate::sim
