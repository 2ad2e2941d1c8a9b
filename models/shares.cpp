// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/shares.hpp"

#include <string>

#include "models/error.hpp"

namespace pregate {

namespace {

class Divider {
 public:
  Divider(const ModelSpec& model, int gpus) : model_(model), gpus_(gpus) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError("--tp",
                     printable(model_.name) + " cannot be shared by " + std::to_string(gpus_) +
                         " GPUs layer by layer: " + why,
                     "another number, or --pp to give each GPU whole layers");
  }
  void divide(int& count, const char* what) const {
    if (count % gpus_ != 0) refuse(std::string(what) + ", " + std::to_string(count) + ", do not divide");
    count /= gpus_;
  }
  /// What is there at least once on each GPU.
  void share(int& count, const char* what) const {
    if (count == 0) return;
    if (count < gpus_) {
      if (gpus_ % count != 0) refuse(std::string(what) + ", " + std::to_string(count) + ", do not divide");
      count = 1;
      return;
    }
    divide(count, what);
  }

 private:
  const ModelSpec& model_;
  int gpus_;
};

void share_mixer(Mixer& mixer, const Divider& divider) {
  if (mixer.kind == MixerKind::none) return;
  divider.divide(mixer.heads, "heads");
  divider.share(mixer.kv_heads, "key heads");
  divider.share(mixer.key_heads, "key heads of the linear attention");
  divider.share(mixer.groups, "groups of the state space");
  divider.share(mixer.output_groups, "groups of the output projection");
}

}  // namespace

ModelSpec tensor_share(const ModelSpec& model, int gpus, bool splits_experts) {
  if (gpus == 1) return model;
  ModelSpec share = model;
  const Divider divider(model, gpus);
  for (Stack& stack : share.stacks) {
    for (Mixer& mixer : stack.mixers) share_mixer(mixer, divider);
    for (FeedForward& feed_forward : stack.feed_forwards) {
      divider.divide(feed_forward.ffn_dim, "columns of the feed-forward");
      divider.divide(feed_forward.moe.shared_ffn_dim, "columns of the shared experts");
      if (splits_experts) divider.divide(feed_forward.moe.ffn_dim, "columns of an expert");
    }
    for (const Layer& layer : stack.layers) {
      if (layer.stored_mixer.count > 0 || layer.stored_feed_forward.count > 0 ||
          layer.stored_expert.count > 0)
        divider.refuse("its sizes are those of a file");
    }
  }
  share.vocabulary = (share.vocabulary + gpus - 1) / gpus;
  share.stored_embeddings = Bytes{(share.stored_embeddings.count + gpus - 1) / gpus};
  share.stored_head = Bytes{(share.stored_head.count + gpus - 1) / gpus};
  return share;
}

ModelSpec layer_share(const ModelSpec& model, int first, int end) {
  if (model.stacks.size() != 1) {
    throw InputError("--pp", printable(model.name) + " has an encoder and a decoder, which are not split",
                     "--tp shares every layer");
  }
  ModelSpec share = model;
  std::vector<Layer>& layers = share.stacks.front().layers;
  const bool has_tables = first == 0, has_head = end == static_cast<int>(layers.size());
  layers.assign(layers.begin() + first, layers.begin() + end);
  if (has_tables && has_head) return share;
  const bool is_tied = share.tied_embeddings;
  if (has_tables) {
    share.tied_embeddings = true;  // the one table that is left
    share.head_bias = false;
    share.stored_head = {};
  } else if (has_head) {
    if (!is_tied && share.head_format.bits_per_parameter > 0) share.embedding_format = share.head_format;
    if (!is_tied) share.stored_embeddings = share.stored_head;
    share.tied_embeddings = true;
    share.stored_head = {};
    share.learned_positions = 0;
  } else {
    share.vocabulary = 0;
    share.head_bias = false;
    share.stored_embeddings = share.stored_head = {};
    share.learned_positions = 0;
  }
  return share;
}

}  // namespace pregate
