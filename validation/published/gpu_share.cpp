// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "validation/published/gpu_share.hpp"

#include <string>

#include "models/error.hpp"

namespace pregate::validation {

ModelSpec share_of(const ModelSpec& model, int gpus) {
  if (gpus == 1) return model;
  ModelSpec share = model;
  const auto refuse = [&](const std::string& why) {
    throw InputError(
        "gpus", printable(model.name) + " cannot be shared by " + std::to_string(gpus) + " GPUs: " + why);
  };
  const auto divide = [&](auto& count, const char* what) {
    if (count % gpus != 0) refuse(std::string(what) + ", " + std::to_string(count) + ", do not divide");
    count /= gpus;
  };
  for (Stack& stack : share.stacks) {
    for (Mixer& mixer : stack.mixers) {
      if (mixer.kind != MixerKind::grouped_query) refuse("a mixer is not grouped-query attention");
      divide(mixer.heads, "heads");
      divide(mixer.kv_heads, "key heads");
    }
    for (FeedForward& feed_forward : stack.feed_forwards) {
      divide(feed_forward.ffn_dim, "columns of the feed-forward");
      divide(feed_forward.moe.ffn_dim, "columns of an expert");
      divide(feed_forward.moe.shared_ffn_dim, "columns of the shared experts");
    }
    for (const Layer& layer : stack.layers) {
      if (layer.stored_mixer.count > 0 || layer.stored_feed_forward.count > 0 ||
          layer.stored_expert.count > 0)
        refuse("its sizes are those of a file");
    }
  }
  divide(share.vocabulary, "tokens of the vocabulary");
  return share;
}

}  // namespace pregate::validation
