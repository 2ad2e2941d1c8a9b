// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/units.hpp"

namespace pregate {

struct FeedForward;
struct Mixer;

/// What launching a layer takes where it is not the plain one, a norm with grouped-query attention: kernels
/// of a software, or the time that they take on a machine. Nothing is said of what is zero.
template <typename Value>
struct LayerLaunches {
  /// In place of those of attention, norm included, where the mixer of a layer is of that kind.
  struct Mixers {
    Value latent{}, delta{}, kimi_delta{}, mamba2{}, mamba{}, convolution{};
    bool operator==(const Mixers&) const = default;
  } mixers;
  /// On top, where a layer has it.
  struct Added {
    Value query_rank{};   ///< a query projection of low rank: two products with a norm between them
    Value qk_norm{};      ///< norms of query and key
    Value output_gate{};  ///< a gate of what attention gives
    Value post_norm{};    ///< a norm behind the mixer
    Value shared{};       ///< shared experts
    Value shared_gate{};  ///< their gate
    Value beside{};       ///< a dense feed-forward beside the experts, each with norms of its own (Gemma 4)
    bool operator==(const Added&) const = default;
  } added;

  bool operator==(const LayerLaunches&) const = default;
};

/// Each of them, once.
template <typename Value, typename Visit>
void visit_launches(LayerLaunches<Value>& launches, Visit visit) {
  auto& [mixers, added] = launches;
  for (Value* each : {&mixers.latent, &mixers.delta, &mixers.kimi_delta, &mixers.mamba2, &mixers.mamba,
                      &mixers.convolution, &added.query_rank, &added.qk_norm, &added.output_gate,
                      &added.post_norm, &added.shared, &added.shared_gate, &added.beside})
    visit(*each);
}

/// Launches of a layer's mixer, of `plain` for a plain one.
Picoseconds mixer_launches(const LayerLaunches<Picoseconds>& described, const Mixer& mixer,
                           Picoseconds plain);

/// Launches of a whole layer without experts, of `plain` for a plain one, whose mixer alone has
/// `plain_mixer`.
Picoseconds layer_launches(const LayerLaunches<Picoseconds>& described, const Mixer& mixer, Picoseconds plain,
                           Picoseconds plain_mixer);

/// Launches of what is beside the routed experts of a layer.
Picoseconds shared_launches(const LayerLaunches<Picoseconds>& described, const FeedForward& feed_forward);

}  // namespace pregate
