// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Sizes of a model from the tensors of its checkpoint. Names are those of the checkpoints that transformers
// reads.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "models/error.hpp"
#include "models/files/checkpoint_folder.hpp"

namespace pregate {
namespace {

bool has(std::string_view name, std::string_view piece) { return name.find(piece) != std::string_view::npos; }

/// What is of no use to a run of the text model.
bool is_of_other_model(std::string_view name) {
  constexpr std::array pieces{"visual.", "vision_tower", "vision_model",          "vision_",
                              "audio",   "mm_projector", "multi_modal_projector", "projector."};
  return std::any_of(pieces.begin(), pieces.end(), [&](const char* piece) { return has(name, piece); });
}

bool is_embedding(std::string_view name) {
  for (const char* ending : {"embed_tokens.weight", "wte.weight", "embeddings.weight", "shared.weight",
                             "embedding.weight", "embed_positions.weight", "embed.weight"}) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

/// Number and rest behind the first of the words that count layers; -1: of no layer.
int layer_of(std::string_view name, std::string_view& rest) {
  for (const std::string_view word : {"layers.", "blocks.", "block.", "h."}) {
    std::size_t at = name.find(word);
    if (at == std::string_view::npos || (at > 0 && name[at - 1] != '.')) continue;
    at += word.size();
    int layer = -1;
    const char* end = name.data() + name.size();
    const auto [next, fault] = std::from_chars(name.data() + at, end, layer);
    if (fault != std::errc{} || next == end || *next != '.' || layer < 0) continue;
    rest = name.substr(static_cast<std::size_t>(next + 1 - name.data()));
    return layer;
  }
  return -1;
}

bool is_routed_expert(std::string_view rest) {
  return (has(rest, "experts.") || has(rest, "experts_")) && !has(rest, "shared_expert");
}

bool is_of_mixer(std::string_view rest) {
  for (const char* piece : {"attn", "attention", "mamba", "SelfAttention", "EncDecAttention",
                            "input_layernorm", "indexer", "linear_att", "layer.0.", "norm_attn_norm"}) {
    if (has(rest, piece)) return !has(rest, "post_attention_layernorm");
  }
  return false;
}

struct LayerBytes {
  Bytes mixer, feed_forward, experts;
};

std::string gib(Bytes bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes.count) / (1 << 30));
  return text;
}

}  // namespace

void store_as_files(ModelSpec& model, const CheckpointFolder& folder) {
  const std::string where = printable(folder.path, 200);
  std::vector<std::vector<LayerBytes>> held;
  for (const Stack& stack : model.stacks) held.emplace_back(stack.layers.size());
  Bytes embeddings, head, others, next_tokens;
  for (const StoredTensor& tensor : folder.tensors) {
    const Bytes bytes{tensor.end - tensor.begin};
    std::string_view rest;
    const std::string_view name = tensor.name;
    if (is_of_other_model(name)) {
      others += bytes;
      continue;
    }
    if (name.starts_with("mtp.") || has(name, ".mtp.") || has(name, "mtp_layers")) {
      next_tokens += bytes;
      continue;
    }
    const std::size_t stack = model.stacks.size() > 1 && !has(name, "encoder.") ? 1 : 0;
    const int layer = layer_of(name, rest);
    if (layer < 0) {
      if (is_embedding(name)) {
        embeddings += bytes;
      } else if (has(name, "lm_head") || name.ends_with("output.weight")) {
        head += bytes;
      }
      continue;  // norms behind the last layer, counted by their formats
    }
    if (static_cast<std::size_t>(layer) >= held[stack].size()) {
      next_tokens += bytes;
      continue;
    }
    LayerBytes& of = held[stack][static_cast<std::size_t>(layer)];
    const bool has_mixer = model.stacks[stack].mixer_of(layer).kind != MixerKind::none;
    const bool has_feed_forward = model.stacks[stack].feed_forward_of(layer).kind != FeedForward::Kind::none;
    if (is_routed_expert(rest) && model.stacks[stack].is_moe(layer)) {
      of.experts += bytes;
    } else if (has_mixer && (!has_feed_forward || is_of_mixer(rest))) {
      of.mixer += bytes;
    } else {
      of.feed_forward += bytes;
    }
  }
  for (std::size_t s = 0; s < held.size(); ++s) {
    Stack& stack = model.stacks[s];
    for (std::size_t i = 0; i < held[s].size(); ++i) {
      const LayerBytes& of = held[s][i];
      const int layer = static_cast<int>(i);
      if (of.mixer.count + of.feed_forward.count + of.experts.count == 0) {
        throw InputError(where, "has no tensors of layer " + std::to_string(i) + " of the " + stack.name,
                         "its files may be of another model than its config.json, or incomplete");
      }
      if (!stack.is_moe(layer)) {
        stack.layers[i].stored_mixer = of.mixer;
        stack.layers[i].stored_feed_forward = of.feed_forward;
        continue;
      }
      const int experts = stack.feed_forward_of(layer).moe.experts;
      if (of.experts.count == 0 || of.experts.count % experts != 0) {
        throw InputError(where,
                         "the tensors of layer " + std::to_string(i) + " are not those of " +
                             std::to_string(experts) + " experts of one size",
                         "its files may be of another model than its config.json");
      }
      stack.layers[i].stored_mixer = of.mixer;
      stack.layers[i].stored_feed_forward = of.feed_forward;
      stack.layers[i].stored_expert = Bytes{of.experts.count / experts};
    }
  }
  if (embeddings.count == 0)
    throw InputError(where, "has no table of embeddings", "its files may be incomplete");
  model.stored_embeddings = embeddings;
  model.stored_head = model.tied_embeddings ? Bytes{} : head;
  if (others.count > 0) model.left_out.push_back("images or sound (" + gib(others) + " in the files)");
  if (next_tokens.count > 0)
    model.left_out.push_back("multi-token prediction (" + gib(next_tokens) + " in the files)");
}

}  // namespace pregate
