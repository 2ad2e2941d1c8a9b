// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/layer_count.hpp"

#include <cmath>

namespace pregate {
namespace {

using Count = std::int64_t;

Count matrices(bool gated) { return gated ? 3 : 2; }

}  // namespace

FeedForwardCount count_expert(const MoeBlock& moe, Count d_model) {
  const Count width = moe.latent_dim > 0 ? moe.latent_dim : d_model;
  FeedForwardCount count{.matrices = matrices(moe.gated) * width * moe.ffn_dim};
  if (moe.expert_bias) count.others = (moe.gated ? 2 : 1) * Count{moe.ffn_dim} + width;
  return count;
}

ResidentCount count_resident(const FeedForward& feed_forward, Count d_model) {
  ResidentCount count;
  if (feed_forward.kind == FeedForward::Kind::dense) {
    count.dense.matrices = matrices(feed_forward.gated) * d_model * feed_forward.ffn_dim;
    if (feed_forward.bias)
      count.dense.others = (feed_forward.gated ? 2 : 1) * Count{feed_forward.ffn_dim} + d_model;
  } else if (feed_forward.kind == FeedForward::Kind::moe) {
    const MoeBlock& moe = feed_forward.moe;
    count.router.matrices = d_model * moe.experts;
    if (moe.router_bias) count.router.others = moe.experts;
    count.shared.matrices =
        matrices(moe.gated) * d_model * moe.shared_ffn_dim + (moe.shared_gate ? d_model : 0);
    count.dense.matrices = 2 * d_model * moe.latent_dim;
  }
  return count;
}

Count count_norms(const Stack& stack, int norms, Count d_model) {
  return (stack.norm_bias ? 2 : 1) * d_model * norms;
}

Count count_head(const ModelSpec& model) {
  return model.vocabulary * model.d_model + (model.head_bias ? model.vocabulary : 0);
}

Count count_embeddings(const ModelSpec& model) {
  Count total = count_head(model) + model.learned_positions * Count{model.d_model};
  if (!model.tied_embeddings) total += model.vocabulary * model.d_model;
  return total;
}

Bytes stored(double parameters, const WeightFormat& format) {
  return {static_cast<Count>(std::ceil(parameters * format.bits_per_parameter / 8))};
}

}  // namespace pregate
