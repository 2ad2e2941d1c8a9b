// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "models/fields/choices.hpp"

namespace pregate {
namespace {

constexpr std::array<Choice<MixerKind>, 10> mixers{{
    {MixerKind::grouped_query, "grouped-query", "softmax attention", "", ""},
    {MixerKind::none, "none", "a layer that is a feed-forward alone", "", ""},
    {MixerKind::multi_head_latent, "multi-head-latent", "attention to cached latents", "", ""},
    {MixerKind::compressed, "compressed", "a window of tokens beside compressed runs of tokens", "", ""},
    {MixerKind::gated_delta_net, "gated-delta-net", "linear attention of Qwen3-Next", "", ""},
    {MixerKind::kimi_delta, "kimi-delta", "linear attention of Kimi-Linear", "", ""},
    {MixerKind::lightning, "lightning", "linear attention of MiniMax", "", ""},
    {MixerKind::mamba2, "mamba2", "state space", "", ""},
    {MixerKind::mamba, "mamba", "state space of Mamba-1, a step size a channel", "", ""},
    {MixerKind::short_convolution, "short-convolution", "gated convolution over a few tokens", "", ""},
}};

constexpr std::array<Choice<FeedForward::Kind>, 3> feed_forwards{{
    {FeedForward::Kind::dense, "dense", "every token passes all of it", "", ""},
    {FeedForward::Kind::none, "none", "a layer that is a mixer alone", "", ""},
    {FeedForward::Kind::moe, "moe", "a token passes the experts that the router chose", "", ""},
}};

}  // namespace

template <>
std::span<const Choice<MixerKind>> choices() {
  return mixers;
}
template <>
std::span<const Choice<FeedForward::Kind>> choices() {
  return feed_forwards;
}

}  // namespace pregate
