// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/shapes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/error.hpp"

namespace pregate::runtime {

namespace {

constexpr ElementType all_types[] = {ElementType::f32, ElementType::f16, ElementType::bf16};

ElementType type_of(const ModelSpec& model, const Device& device) {
  const std::vector<ElementType>& supported = device.info().types;
  std::string names;
  for (const ElementType type : supported)
    names += (names.empty() ? "" : ", ") + std::string(to_string(type));
  const std::string& format = model.expert_format.name;
  const auto named = std::find_if(std::begin(all_types), std::end(all_types),
                                  [&](ElementType type) { return format == to_string(type); });
  if (named == std::end(all_types) ||
      std::find(supported.begin(), supported.end(), *named) == supported.end()) {
    throw InputError("model " + model.name,
                     "its experts are stored as " + format + "; the device " + device.info().kind +
                         " computes in " + names,
                     "choose one with --weights, and the same with --dense-weights");
  }
  if (model.dense_format.name != format) {
    throw InputError("model " + model.name,
                     "experts are stored as " + format + ", everything else as " + model.dense_format.name +
                         "; the runtime computes in one format",
                     "--dense-weights " + format);
  }
  return *named;
}

int whole(double value) { return std::max(1, static_cast<int>(std::lround(value))); }

}  // namespace

Bytes element_bytes(ElementType type) { return {type == ElementType::f32 ? 4 : 2}; }

const char* to_string(ElementType type) {
  switch (type) {
    case ElementType::f32:
      return "fp32";
    case ElementType::f16:
      return "fp16";
    case ElementType::bf16:
      return "bf16";
  }
  return "";
}

ModelShape model_shape(const ModelSpec& model, const Device& device) {
  require_uniform_moe(model, "the runtime");
  ModelShape shape;
  shape.d_model = model.d_model;
  shape.type = type_of(model, device);
  shape.element = element_bytes(shape.type);
  if (model.vocabulary > std::numeric_limits<int>::max())
    throw InputError("model " + model.name, "a vocabulary of more than 2^31 entries", "");
  shape.vocabulary = static_cast<int>(model.vocabulary);
  for (const Stack& stack : model.stacks) {
    std::vector<LayerShape> layers;
    for (const LayerProfile& profile : model.profile(stack)) {
      LayerShape layer;
      layer.moe = profile.moe;
      // Two products of d_model x width weights take 4 FLOP a weight row and token.
      layer.attention = whole(profile.attention_flop_per_token / (4.0 * model.d_model));
      if (profile.moe) {
        const MoeBlock& moe = stack.feed_forward_of(profile.layer).moe;
        if (moe.latent_dim > 0) {
          throw InputError(
              "model " + model.name,
              "its experts work on a projection of the hidden state, which the runtime does not run",
              "simulate it, or choose another model");
        }
        layer.dense = {moe.shared_ffn_dim, moe.gated};
        layer.experts = moe.experts;
        layer.expert = {moe.ffn_dim, moe.gated};
      } else {
        const pregate::FeedForward& dense = stack.feed_forward_of(profile.layer);
        layer.dense = {dense.ffn_dim, dense.gated};
      }
      layers.push_back(layer);
    }
    shape.stacks.push_back(std::move(layers));
    shape.expert_bytes = std::max(shape.expert_bytes, model.expert_bytes(stack));
  }
  return shape;
}

}  // namespace pregate::runtime
