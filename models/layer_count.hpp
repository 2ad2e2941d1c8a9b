// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"

namespace pregate {

/// Parameters of a feed-forward, or of a part of one. `matrices` take part in matrix products.
struct FeedForwardCount {
  std::int64_t matrices = 0;
  std::int64_t others = 0;
  [[nodiscard]] std::int64_t all() const { return matrices + others; }
};

/// One routed expert.
FeedForwardCount count_expert(const MoeBlock& moe, std::int64_t d_model);
/// What is resident of a feed-forward, apart by format, the norm aside.
struct ResidentCount {
  FeedForwardCount dense;   ///< a dense feed-forward; latent projections of a MoE layer
  FeedForwardCount shared;  ///< shared experts and their gate
  FeedForwardCount router;
  [[nodiscard]] std::int64_t all() const { return dense.all() + shared.all() + router.all(); }
  [[nodiscard]] std::int64_t matrices() const { return dense.matrices + shared.matrices + router.matrices; }
};
ResidentCount count_resident(const FeedForward& feed_forward, std::int64_t d_model);
/// Norms of d_model around a part of a layer, biases included.
std::int64_t count_norms(const Stack& stack, int norms, std::int64_t d_model);
/// Output projection; embedding tables and output projection.
std::int64_t count_head(const ModelSpec& model);
std::int64_t count_embeddings(const ModelSpec& model);

/// Smallest whole number of bytes.
Bytes stored(double parameters, const WeightFormat& format);

}  // namespace pregate
