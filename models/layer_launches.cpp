// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/layer_launches.hpp"

#include <algorithm>

#include "models/model.hpp"

namespace pregate {
namespace {

Picoseconds of_kind(const LayerLaunches<Picoseconds>::Mixers& mixers, MixerKind kind) {
  switch (kind) {
    case MixerKind::multi_head_latent:
      return mixers.latent;
    case MixerKind::gated_delta_net:
      return mixers.delta;
    case MixerKind::kimi_delta:
      return mixers.kimi_delta;
    case MixerKind::mamba2:
      return mixers.mamba2;
    case MixerKind::mamba:
      return mixers.mamba;
    case MixerKind::short_convolution:
      return mixers.convolution;
    case MixerKind::none:
    case MixerKind::grouped_query:
    case MixerKind::compressed:
    case MixerKind::lightning:
      break;
  }
  return {};
}

}  // namespace

Picoseconds mixer_launches(const LayerLaunches<Picoseconds>& described, const Mixer& mixer,
                           Picoseconds plain) {
  const Picoseconds counted = of_kind(described.mixers, mixer.kind);
  Picoseconds launches = counted.count > 0 ? counted : plain;
  const auto& added = described.added;
  if (mixer.q_lora_rank > 0) launches += added.query_rank;
  if (mixer.qk_norm || mixer.qk_norm_full_width) launches += added.qk_norm;
  if (mixer.kind == MixerKind::grouped_query && mixer.output_gate) launches += added.output_gate;
  if (mixer.norms > 1) launches += added.post_norm;
  return launches;
}

Picoseconds layer_launches(const LayerLaunches<Picoseconds>& described, const Mixer& mixer, Picoseconds plain,
                           Picoseconds plain_mixer) {
  const Picoseconds its_mixer = mixer_launches(described, mixer, plain_mixer);
  return std::max(Picoseconds{}, plain - plain_mixer + its_mixer);
}

Picoseconds shared_launches(const LayerLaunches<Picoseconds>& described, const FeedForward& feed_forward) {
  const MoeBlock& moe = feed_forward.moe;
  if (feed_forward.kind != FeedForward::Kind::moe || moe.shared_ffn_dim <= 0) return {};
  const auto& added = described.added;
  if (feed_forward.norms > 1 && added.beside.count > 0) return added.beside;
  return moe.shared_gate ? added.shared + added.shared_gate : added.shared;
}

}  // namespace pregate
