// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/gpu_share.hpp"

#include <string>

#include "models/error.hpp"

namespace pregate {
namespace {

class Sharer {
 public:
  Sharer(const ModelSpec& model, const LayerSharing& sharing) : name_(model.name), sharing_(sharing) {
    if (sharing.gpus < 1 || sharing.expert < 1 || sharing.gpus % sharing.expert != 0) {
      throw InputError("gpus", std::to_string(sharing.gpus) + " GPUs are not " +
                                   std::to_string(sharing.expert) + " groups of experts");
    }
  }

  void share(Mixer& mixer) const {
    if (mixer.kind == MixerKind::none) return;
    divide(mixer.heads, sharing_.gpus, "heads");
    switch (mixer.kind) {
      case MixerKind::grouped_query:
        divide_or_copy(mixer.kv_heads, "key heads");
        break;
      case MixerKind::compressed:
        divide_or_copy(mixer.output_groups, "groups of the output projection");
        break;
      case MixerKind::gated_delta_net:
      case MixerKind::kimi_delta:
      case MixerKind::lightning:
        divide_or_copy(mixer.key_heads, "key heads");
        break;
      case MixerKind::mamba2:
        divide_or_copy(mixer.groups, "groups");
        break;
      case MixerKind::multi_head_latent:
      case MixerKind::none:
        break;
    }
  }

  void share(FeedForward& feed_forward) const {
    divide(feed_forward.ffn_dim, sharing_.gpus, "columns of the feed-forward");
    MoeBlock& moe = feed_forward.moe;
    divide(moe.shared_ffn_dim, sharing_.gpus, "columns of the shared experts");
    divide(moe.ffn_dim, sharing_.gpus / sharing_.expert, "columns of an expert");
    divide(moe.experts, sharing_.expert, "experts");
    divide(moe.top_k, sharing_.expert, "experts a token");
  }

  void refuse(const std::string& why) const {
    throw InputError(
        "gpus", printable(name_) + " cannot be shared by " + std::to_string(sharing_.gpus) + " GPUs: " + why);
  }

 private:
  void divide(int& count, int parts, const char* what) const {
    if (count % parts != 0) {
      refuse(std::string(what) + ", " + std::to_string(count) + ", do not divide by " +
             std::to_string(parts));
    }
    count /= parts;
  }

  /// Fewer than GPUs: each GPU has one, and several the same.
  void divide_or_copy(int& count, const char* what) const {
    if (count > 0 && sharing_.gpus % count == 0) {
      count = 1;
    } else {
      divide(count, sharing_.gpus, what);
    }
  }

  std::string name_;
  LayerSharing sharing_;
};

}  // namespace

ModelSpec share_of(const ModelSpec& model, const LayerSharing& sharing) {
  const Sharer sharer(model, sharing);
  if (sharing.gpus == 1) return model;
  ModelSpec share = model;
  for (Stack& stack : share.stacks) {
    for (Mixer& mixer : stack.mixers) sharer.share(mixer);
    for (FeedForward& feed_forward : stack.feed_forwards) sharer.share(feed_forward);
    for (const Layer& layer : stack.layers) {
      if (layer.stored_mixer.count > 0 || layer.stored_feed_forward.count > 0 ||
          layer.stored_expert.count > 0)
        sharer.refuse("its sizes are those of a file");
    }
  }
  share.vocabulary = (share.vocabulary + sharing.gpus - 1) / sharing.gpus;
  return share;
}

}  // namespace pregate
