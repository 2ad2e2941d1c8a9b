// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/formats/apply_formats.hpp"

#include <algorithm>
#include <functional>

#include "models/formats/matrices.hpp"

namespace pregate {
namespace {

bool same(const WeightFormat& a, const WeightFormat& b) {
  return a.name == b.name && a.bits_per_parameter == b.bits_per_parameter && a.compute == b.compute;
}

bool same(const PartFormats& a, const PartFormats& b) {
  return same(a.experts, b.experts) && same(a.attention, b.attention) &&
         same(a.shared_experts, b.shared_experts) && same(a.dense_ffn, b.dense_ffn) &&
         same(a.router, b.router);
}

using Edit = std::function<void(const Stack&, int layer, PartFormats&)>;

/// Changes the formats of every layer; those that come out as the model's own are not kept apart.
void edit_layers(ModelSpec& model, const PartFormats& common, const Edit& edit) {
  std::vector<PartFormats> distinct;
  std::vector<std::vector<int>> chosen;
  for (const Stack& stack : model.stacks) {
    std::vector<int>& of_stack = chosen.emplace_back();
    for (std::size_t i = 0; i < stack.layers.size(); ++i) {
      PartFormats formats = model.formats_of(stack.layers[i]);
      edit(stack, static_cast<int>(i), formats);
      if (same(formats, common)) {
        of_stack.push_back(-1);
        continue;
      }
      auto known = std::find_if(distinct.begin(), distinct.end(),
                                [&](const PartFormats& f) { return same(f, formats); });
      if (known == distinct.end()) known = distinct.insert(distinct.end(), formats);
      of_stack.push_back(static_cast<int>(known - distinct.begin()));
    }
  }
  for (std::size_t s = 0; s < chosen.size(); ++s) {
    for (std::size_t i = 0; i < chosen[s].size(); ++i) model.stacks[s].layers[i].formats = chosen[s][i];
  }
  model.formats = std::move(distinct);
}

PartFormats all_parts(const WeightFormat& experts, const WeightFormat& rest) {
  return {experts, rest, rest, rest, rest};
}

/// One format for matrices of several: their mean by parameters. `name` is for those that differ.
WeightFormat mean(const std::vector<Matrix>& matrices, const std::string& name, const WeightFormat& fallback,
                  const std::function<WeightFormat(const Matrix&)>& of) {
  double bits = 0, parameters = 0;
  std::optional<WeightFormat> first;
  bool alike = true;
  const Matrix* largest = nullptr;
  for (const Matrix& matrix : matrices) {
    if (matrix.parameters == 0) continue;
    const WeightFormat format = of(matrix);
    if (!first) first = format;
    alike = alike && same(*first, format);
    if (largest == nullptr || matrix.parameters > largest->parameters) largest = &matrix;
    bits += format.bits_per_parameter * static_cast<double>(matrix.parameters);
    parameters += static_cast<double>(matrix.parameters);
  }
  if (!first) return fallback;
  if (alike) return *first;
  return {name, bits / parameters, of(*largest).compute};
}

WeightFormat ggml_format(const GgmlType& type) { return weight_format(std::string(type.name), {}); }

/// Query heads a key-value head, of the first mixer that has such.
int query_group(const Stack& stack) {
  for (const Mixer& mixer : stack.mixers) {
    if (mixer.kind == MixerKind::grouped_query && mixer.kv_heads > 0) return mixer.heads / mixer.kv_heads;
  }
  return 1;  // latent attention counts one key-value head a query head
}

int most_experts(const Stack& stack) {
  int most = 0;
  for (const FeedForward& feed_forward : stack.feed_forwards) {
    if (feed_forward.kind == FeedForward::Kind::moe) most = std::max(most, feed_forward.moe.experts);
  }
  return most;
}

TensorPlace place_in(const Stack& stack, int layer) {
  return {.layer = layer,
          .layers = static_cast<int>(stack.layers.size()),
          .attention_layer = layer,
          .attention_layers = static_cast<int>(stack.layers.size()),
          .experts = most_experts(stack),
          .query_group = query_group(stack)};
}

std::function<WeightFormat(const Matrix&)> in_mix(const FileMix& mix, TensorPlace place, bool routed) {
  return [&mix, place, routed](const Matrix& matrix) mutable {
    place.role = matrix.role;
    place.routed = routed;
    place.row = matrix.row;
    return ggml_format(type_in(mix, place));
  };
}

std::vector<Matrix> expert_matrices(const ModelSpec& model, const MoeBlock& moe) {
  return feed_forward_matrices(moe.latent_dim > 0 ? moe.latent_dim : model.d_model, moe.ffn_dim, moe.gated);
}

/// The mean bits over all routed experts.
double mean_expert_bits(const ModelSpec& model) {
  double bits = 0, parameters = 0;
  for (const Stack& stack : model.stacks) {
    for (const int layer : moe_layers(stack)) {
      const MoeBlock& moe = stack.feed_forward_of(layer).moe;
      const double weight =
          static_cast<double>(moe.experts) * static_cast<double>(model.expert_parameter_count(moe));
      bits +=
          weight * model.formats_of(stack.layers[static_cast<std::size_t>(layer)]).experts.bits_per_parameter;
      parameters += weight;
    }
  }
  return parameters > 0 ? bits / parameters : 0;
}

}  // namespace

void store_experts_as(ModelSpec& model, const std::string& name, const std::string& where) {
  const WeightFormat chosen = weight_format(name, where);
  const FileMix* mix = file_mix(chosen.name);
  for (Stack& stack : model.stacks) {
    for (Layer& layer : stack.layers) layer.stored_expert = {};
  }
  // Layers that were as the model's own must stay so in their other parts.
  edit_layers(model, all_parts(chosen, model.dense_format),
              [&](const Stack& stack, int layer, PartFormats& formats) {
                const FeedForward& feed_forward = stack.feed_forward_of(layer);
                formats.experts = chosen;
                if (mix == nullptr || feed_forward.kind != FeedForward::Kind::moe) return;
                formats.experts = mean(expert_matrices(model, feed_forward.moe), chosen.name, chosen,
                                       in_mix(*mix, place_in(stack, layer), true));
              });
  model.expert_format = chosen;
  if (mix != nullptr) model.expert_format.bits_per_parameter = mean_expert_bits(model);
}

void store_rest_as(ModelSpec& model, const std::string& name, const std::string& where) {
  const WeightFormat chosen = weight_format(name, where);
  const FileMix* mix = file_mix(chosen.name);
  model.stored_embeddings = model.stored_head = {};
  for (Stack& stack : model.stacks) {
    for (Layer& layer : stack.layers) layer.stored_mixer = layer.stored_feed_forward = {};
  }
  edit_layers(
      model, all_parts(model.expert_format, chosen),
      [&](const Stack& stack, int layer, PartFormats& formats) {
        formats.attention = formats.shared_experts = formats.dense_ffn = formats.router = chosen;
        if (mix == nullptr) return;
        const TensorPlace place = place_in(stack, layer);
        const FeedForward& feed_forward = stack.feed_forward_of(layer);
        formats.attention = mean(mixer_matrices(stack.mixer_of(layer), model.d_model), chosen.name, chosen,
                                 in_mix(*mix, place, false));
        formats.shared_experts = mean(
            feed_forward_matrices(model.d_model, feed_forward.moe.shared_ffn_dim, feed_forward.moe.gated),
            chosen.name, chosen, in_mix(*mix, place, false));
        formats.dense_ffn =
            mean(feed_forward_matrices(model.d_model, feed_forward.ffn_dim, feed_forward.gated), chosen.name,
                 chosen, in_mix(*mix, place, false));
        formats.router = weight_format("fp32", where);
      });
  model.dense_format = chosen;
  model.embedding_format = model.head_format = {};
  if (mix == nullptr) return;
  TensorPlace place{.role = TensorRole::output, .row = model.d_model};
  model.head_format = ggml_format(type_in(*mix, place));
  place.role = TensorRole::embedding;
  model.embedding_format = model.tied_embeddings ? model.head_format : ggml_format(type_in(*mix, place));
}

void store_routers_as(ModelSpec& model, const WeightFormat& format) {
  edit_layers(model, all_parts(model.expert_format, model.dense_format),
              [&](const Stack& stack, int layer, PartFormats& formats) {
                if (stack.is_moe(layer)) formats.router = format;
              });
}

void choose_formats(ModelSpec& model, const std::string& weights, const std::string& dense_weights) {
  if (!weights.empty()) store_experts_as(model, weights, "--weights");
  if (!dense_weights.empty()) store_rest_as(model, dense_weights, "--dense-weights");
}

void store_as_checkpoint(ModelSpec& model, const CheckpointFormats& formats) {
  const WeightFormat& wide = *formats.wide;
  const WeightFormat quantized = formats.schemes.empty() ? wide : formats.schemes.front().format;
  const auto named = [&](Part part, int layer) {
    return [&formats, part, layer](const Matrix& matrix) {
      std::vector<std::string> names;
      for (const std::string_view of : part_names(part)) {
        for (const std::string_view name : matrix.names)
          names.push_back("layers." + std::to_string(layer) + "." + std::string(of) + "." +
                          std::string(name));
      }
      return formats.of(names);
    };
  };
  const std::string mixed = quantized.name + "+" + wide.name;
  const auto attention = [&](const Stack& stack, int layer) {
    return mean(mixer_matrices(stack.mixer_of(layer), model.d_model), mixed, quantized,
                named(Part::attention, layer));
  };
  // Where only experts are quantised, the rest goes by the wide format.
  const Stack& last = model.stacks.back();
  const bool wide_rest = same(attention(last, static_cast<int>(last.layers.size()) - 1), wide);
  const WeightFormat rest = wide_rest ? wide : quantized;
  const PartFormats common = all_parts(formats.experts.value_or(quantized), rest);
  edit_layers(model, common, [&](const Stack& stack, int layer, PartFormats& part) {
    const FeedForward& feed_forward = stack.feed_forward_of(layer);
    part.attention = attention(stack, layer);
    part.dense_ffn = mean(feed_forward_matrices(model.d_model, feed_forward.ffn_dim, feed_forward.gated),
                          mixed, rest, named(Part::dense_ffn, layer));
    part.shared_experts =
        mean(feed_forward_matrices(model.d_model, feed_forward.moe.shared_ffn_dim, feed_forward.moe.gated),
             mixed, rest, named(Part::shared_experts, layer));
    part.experts = common.experts;
    if (feed_forward.kind != FeedForward::Kind::moe) {
      part.router = rest;
      return;
    }
    // Every published checkpoint keeps its routers wide, whether its list says so or not.
    part.router = wide;
    if (!formats.experts)
      part.experts = mean(expert_matrices(model, feed_forward.moe), mixed, rest, named(Part::experts, layer));
  });
  model.dense_format = rest;
  model.expert_format = common.experts;
  if (!formats.experts) {
    for (const Stack& stack : model.stacks) {
      const std::vector<int> layers = moe_layers(stack);
      if (!layers.empty())
        model.expert_format = model.formats_of(stack.layers[static_cast<std::size_t>(layers.back())]).experts;
    }
  }
  model.embedding_format = wide;
  model.head_format = formats.head_quantized ? quantized : wide;
  // The cache holds activations, which stay in the type that the model computes in.
  model.kv_format = formats.kv.bits_per_parameter > 0 ? formats.kv
                    : wide.bits_per_parameter >= 16   ? wide
                                                      : weight_format("bf16", {});
}

}  // namespace pregate
