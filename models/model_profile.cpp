// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// From a description to what each layer costs.
#include <cmath>

#include "models/layer_count.hpp"

namespace pregate {
namespace {

using Count = std::int64_t;

double flop(double products) { return 2.0 * products; }
double flop(Count products) { return flop(static_cast<double>(products)); }

Bytes bits(double elements, double each) { return {static_cast<Count>(std::ceil(elements * each / 8))}; }

void price_cache(const Mixer& mixer, const MixerCount& count, const WeightFormat& kv, LayerProfile& cost) {
  for (const CacheTerm& term : count.cache) {
    cost.cache.push_back({.per_entry = stored(term.elements, kv),
                          .window = term.window,
                          .stride = term.stride,
                          .reads_at_most = term.reads_at_most,
                          .flop_per_entry = flop(term.products_per_entry),
                          .shared_by = term.shared_by});
  }
  cost.state = bits(count.state_elements, mixer.state_bits) + stored(count.convolution_elements, kv);
  cost.state_flop_per_token = count.state_flop;
}

void price_mixer(const ModelSpec& model, const Stack& stack, const Layer& layer, LayerProfile& cost) {
  const Mixer& mixer = stack.mixers[static_cast<std::size_t>(layer.mixer)];
  cost.mixer = mixer.kind;
  if (mixer.kind == MixerKind::none) return;
  const Count d_model = model.d_model;
  const MixerCount count = count_mixer(mixer, d_model);
  const Count norms = count_norms(stack, mixer.norms, d_model);
  Count read = count.matrices + count.kv_matrices + count.others + count.kv_others + norms;
  if (cost.layer == 0) read += Count{model.relative_position_buckets} * mixer.heads;
  cost.attention_flop_per_token = flop(count.matrices + count.kv_matrices);
  price_cache(mixer, count, model.kv_format, cost);
  const WeightFormat format = model.formats_of(layer).attention;
  if (stack.cross_attention) {
    read += count.matrices + count.others + norms;
    cost.attention_flop_per_token += flop(count.matrices);
    cost.cross_attention_flop_per_token_and_context = cost.cache.front().flop_per_entry;
    cost.cross_kv_weights = stored(static_cast<double>(count.kv_matrices + count.kv_others), format);
    cost.cross_kv_flop_per_encoder_token = flop(count.kv_matrices);
    cost.cross_kv_per_token = cost.cache.front().per_entry;
  }
  cost.attention_weights = stored(static_cast<double>(read), format);
  if (layer.stored_mixer.count > 0) cost.attention_weights = layer.stored_mixer;
}

void price_feed_forward(const ModelSpec& model, const Stack& stack, const Layer& layer, LayerProfile& cost) {
  const FeedForward& feed_forward = stack.feed_forwards[static_cast<std::size_t>(layer.feed_forward)];
  cost.feed_forward = feed_forward.kind != FeedForward::Kind::none;
  if (!cost.feed_forward) return;
  const Count d_model = model.d_model;
  const ResidentCount resident = count_resident(feed_forward, d_model);
  const Count norms = count_norms(stack, feed_forward.norms, d_model);
  const PartFormats formats = model.formats_of(layer);
  const auto size = [](Count parameters, const WeightFormat& format) {
    return stored(static_cast<double>(parameters), format);
  };
  // Norms are stored as the part that they stand before.
  cost.moe = feed_forward.kind == FeedForward::Kind::moe;
  const Count with_router = resident.router.all() + (cost.moe ? norms : 0);
  cost.ffn_weights = size(resident.dense.all() + (cost.moe ? 0 : norms), formats.dense_ffn) +
                     size(resident.shared.all(), formats.shared_experts) + size(with_router, formats.router);
  if (layer.stored_feed_forward.count > 0) cost.ffn_weights = layer.stored_feed_forward;
  cost.ffn_flop_per_token = flop(resident.matrices());
  if (!cost.moe) return;
  const MoeBlock& moe = feed_forward.moe;
  cost.experts = moe.experts;
  cost.top_k = moe.top_k;
  cost.expert = model.expert_bytes(stack, cost.layer);
  cost.expert_format = formats.experts.name;
  cost.expert_compute = formats.experts.compute;
  cost.expert_flop_per_token = flop(count_expert(moe, d_model).matrices);
  cost.expert_gemm_columns_in = (moe.gated ? 2 : 1) * moe.ffn_dim;
  cost.expert_gemm_columns_out = moe.latent_dim > 0 ? moe.latent_dim : model.d_model;
  cost.expert_ffn_dim = moe.ffn_dim;
}

}  // namespace

Bytes LayerProfile::cached(std::int64_t context) const {
  Bytes total = state;
  for (const CacheCost& part : cache) {
    total += part.per_entry * kept_entries({.window = part.window, .stride = part.stride}, context);
  }
  return total;
}

Bytes LayerProfile::cached_per_token() const {
  double total = 0;
  for (const CacheCost& part : cache) total += static_cast<double>(part.per_entry.count) / part.stride;
  return {static_cast<Count>(std::ceil(total))};
}

std::vector<LayerProfile> ModelSpec::profile(const Stack& stack) const {
  std::vector<LayerProfile> result;
  for (std::size_t i = 0; i < stack.layers.size(); ++i) {
    LayerProfile cost;
    cost.layer = static_cast<int>(i);
    price_mixer(*this, stack, stack.layers[i], cost);
    price_feed_forward(*this, stack, stack.layers[i], cost);
    result.push_back(cost);
  }
  return result;
}

}  // namespace pregate
