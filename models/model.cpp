// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Totals over the layers of a model, and how a stack is put together.
#include "models/model.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "models/layer_count.hpp"

namespace pregate {
namespace {

using Count = std::int64_t;

const WeightFormat& or_else(const WeightFormat& format, const WeightFormat& fallback) {
  return format.bits_per_parameter > 0 ? format : fallback;
}

/// Index of `part` in `parts`, which gains it where it is new.
template <typename Part>
int index_of(std::vector<Part>& parts, const Part& part) {
  const auto found = std::find(parts.begin(), parts.end(), part);
  if (found != parts.end()) return static_cast<int>(found - parts.begin());
  parts.push_back(part);
  return static_cast<int>(parts.size()) - 1;
}

/// Parameters of all layers and final norms but routed experts.
Count count_dense(const ModelSpec& model) {
  const Count d_model = model.d_model;
  Count total = 0;
  for (const Stack& stack : model.stacks) {
    for (int i = 0; i < static_cast<int>(stack.layers.size()); ++i) {
      const Mixer& mixer = stack.mixer_of(i);
      const FeedForward& feed_forward = stack.feed_forward_of(i);
      if (mixer.kind != MixerKind::none) {
        const MixerCount count = count_mixer(mixer, d_model);
        const Count one = count.matrices + count.kv_matrices + count.others + count.kv_others +
                          count_norms(stack, mixer.norms, d_model);
        total += (stack.cross_attention ? 2 : 1) * one;
      }
      if (feed_forward.kind == FeedForward::Kind::none) continue;
      total += count_resident(feed_forward, d_model).all() + count_norms(stack, feed_forward.norms, d_model);
    }
    total += count_norms(stack, 1, d_model);  // after the last layer
    total += Count{model.relative_position_buckets} * stack.mixer_of(0).heads;
  }
  return total;
}

/// Sum over the MoE layers of all stacks.
template <typename Value>
auto sum_over_moe(const ModelSpec& model, Value&& value) {
  decltype(value(model.stacks[0], 0)) total{};
  for (const Stack& stack : model.stacks) {
    for (const int layer : moe_layers(stack)) total += value(stack, layer);
  }
  return total;
}

}  // namespace

void Stack::add_layer(const Mixer& mixer, const FeedForward& feed_forward) {
  Layer layer;
  layer.mixer = index_of(mixers, mixer);
  layer.feed_forward = index_of(feed_forwards, feed_forward);
  layers.push_back(layer);
}

const Mixer& Stack::mixer_of(int layer) const {
  return mixers[static_cast<std::size_t>(layers[static_cast<std::size_t>(layer)].mixer)];
}

const FeedForward& Stack::feed_forward_of(int layer) const {
  return feed_forwards[static_cast<std::size_t>(layers[static_cast<std::size_t>(layer)].feed_forward)];
}

bool Stack::is_moe(int layer) const { return feed_forward_of(layer).kind == FeedForward::Kind::moe; }

const MoeBlock& Stack::first_moe() const {
  static const MoeBlock none;
  for (const Layer& layer : layers) {
    const FeedForward& feed_forward = feed_forwards[static_cast<std::size_t>(layer.feed_forward)];
    if (feed_forward.kind == FeedForward::Kind::moe) return feed_forward.moe;
  }
  return none;
}

void require_uniform_moe(const ModelSpec& model, const std::string& purpose) {
  for (const Stack& stack : model.stacks) {
    for (const int layer : moe_layers(stack)) {
      if (stack.feed_forward_of(layer).moe == stack.first_moe()) continue;
      throw InputError("model " + model.name,
                       "experts of layer " + std::to_string(layer) + " differ from those of layer " +
                           std::to_string(moe_layers(stack).front()) + "; " + purpose +
                           " takes MoE layers that are alike",
                       "simulate it, or describe a model with one kind of MoE layer");
    }
  }
}

std::vector<int> moe_layers(const Stack& stack) {
  std::vector<int> result;
  for (int i = 0; i < static_cast<int>(stack.layers.size()); ++i) {
    if (stack.is_moe(i)) result.push_back(i);
  }
  return result;
}

PartFormats ModelSpec::formats_of(const Layer& layer) const {
  if (layer.formats >= 0) return formats[static_cast<std::size_t>(layer.formats)];
  return {expert_format, dense_format, dense_format, dense_format, dense_format};
}

Count ModelSpec::expert_parameter_count(const MoeBlock& moe) const {
  return count_expert(moe, d_model).all();
}

Bytes ModelSpec::expert_bytes(const Stack& stack, int index) const {
  if (!stack.is_moe(index)) return {};
  const Layer& layer = stack.layers[static_cast<std::size_t>(index)];
  if (layer.stored_expert.count > 0) return layer.stored_expert;
  const FeedForwardCount expert = count_expert(stack.feed_forward_of(index).moe, d_model);
  const WeightFormat& format =
      layer.formats >= 0 ? formats[static_cast<std::size_t>(layer.formats)].experts : expert_format;
  return stored(static_cast<double>(expert.matrices), format) +
         stored(static_cast<double>(expert.others), dense_format);
}

Bytes ModelSpec::expert_bytes(const Stack& stack) const {
  Bytes most;
  for (const int layer : moe_layers(stack)) most = std::max(most, expert_bytes(stack, layer));
  return most;
}

Count ModelSpec::embedding_parameter_count() const { return count_embeddings(*this); }

Count ModelSpec::shared_parameter_count() const {
  return sum_over_moe(*this, [&](const Stack& stack, int layer) {
    return count_resident(stack.feed_forward_of(layer), d_model).shared.all();
  });
}

Count ModelSpec::parameter_count() const {
  return count_embeddings(*this) + count_dense(*this) +
         sum_over_moe(*this, [&](const Stack& stack, int layer) {
           const MoeBlock& moe = stack.feed_forward_of(layer).moe;
           return moe.experts * expert_parameter_count(moe);
         });
}

Count ModelSpec::active_parameter_count() const {
  return count_embeddings(*this) + count_dense(*this) +
         sum_over_moe(*this, [&](const Stack& stack, int layer) {
           const MoeBlock& moe = stack.feed_forward_of(layer).moe;
           return moe.top_k * expert_parameter_count(moe);
         });
}

Bytes ModelSpec::dense_bytes() const {
  Bytes total;
  for (const Stack& stack : stacks) {
    for (const LayerProfile& layer : profile(stack))
      total += layer.attention_weights + layer.cross_kv_weights + layer.ffn_weights;
    total += stored(static_cast<double>(count_norms(stack, 1, d_model)), dense_format);
  }
  const WeightFormat& tables = or_else(embedding_format, dense_format);
  if (stored_embeddings.count > 0 || stored_head.count > 0) return total + stored_embeddings + stored_head;
  const Count head = tied_embeddings ? 0 : count_head(*this);
  return total + stored(static_cast<double>(count_embeddings(*this) - head), tables) +
         stored(static_cast<double>(head), or_else(head_format, tables));
}

Bytes ModelSpec::all_expert_bytes() const {
  return sum_over_moe(*this, [&](const Stack& stack, int layer) {
    return expert_bytes(stack, layer) * stack.feed_forward_of(layer).moe.experts;
  });
}

Bytes ModelSpec::kv_bytes_per_token() const {
  const int decoder = stack_index("decoder");
  Bytes total;
  if (decoder < 0) return total;
  for (const LayerProfile& layer : profile(stacks[static_cast<std::size_t>(decoder)]))
    total += layer.cached_per_token();
  return total;
}

Bytes ModelSpec::kv_bytes(std::int64_t context) const {
  const int decoder = stack_index("decoder");
  Bytes total;
  if (decoder < 0) return total;
  for (const LayerProfile& layer : profile(stacks[static_cast<std::size_t>(decoder)]))
    total += layer.cached(context);
  return total;
}

double ModelSpec::flop_per_token(int context) const {
  const int decoder = stack_index("decoder");
  if (decoder < 0) return 0;
  double total = head_flop_per_token();
  for (const LayerProfile& layer : profile(stacks[static_cast<std::size_t>(decoder)])) {
    for (const CacheCost& part : layer.cache) {
      std::int64_t seen = kept_entries({.window = part.window, .stride = part.stride}, context);
      if (part.reads_at_most > 0) seen = std::min<std::int64_t>(seen, part.reads_at_most);
      total += part.flop_per_entry * static_cast<double>(seen);
    }
    total += layer.attention_flop_per_token + layer.state_flop_per_token + layer.ffn_flop_per_token +
             layer.top_k * layer.expert_flop_per_token;
  }
  return total;
}

Bytes ModelSpec::head_bytes() const {
  if (stored_head.count > 0) return stored_head;
  if (tied_embeddings && stored_embeddings.count > 0) return stored_embeddings;
  const WeightFormat& tables = or_else(embedding_format, dense_format);
  return stored(static_cast<double>(count_head(*this)),
                tied_embeddings ? tables : or_else(head_format, tables));
}

Bytes ModelSpec::input_embedding_bytes() const {
  if (tied_embeddings) return {};
  if (stored_embeddings.count > 0) return stored_embeddings;
  const WeightFormat& tables = or_else(embedding_format, dense_format);
  return stored(static_cast<double>(vocabulary) * d_model, tables);
}

double ModelSpec::head_flop_per_token() const { return 2.0 * static_cast<double>(vocabulary * d_model); }

int ModelSpec::stack_index(const std::string& stack_name) const {
  for (std::size_t i = 0; i < stacks.size(); ++i) {
    if (stacks[i].name == stack_name) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace pregate
