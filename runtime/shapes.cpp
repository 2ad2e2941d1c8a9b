// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/shapes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/error.hpp"
#include "models/terminal_text.hpp"
#include "runtime/cached_attention.hpp"

namespace pregate::runtime {

namespace {

constexpr ElementType all_types[] = {ElementType::f32, ElementType::f16, ElementType::bf16};

std::optional<kernels::BlockFormat> blocks_of(const std::string& format) {
  if (format == "q8_0") return kernels::BlockFormat::q8_0;
  if (format == "q4_k") return kernels::BlockFormat::q4_k;
  if (format == "mxfp4") return kernels::BlockFormat::mxfp4;
  return std::nullopt;
}

/// In which the device computes.
ElementType type_of(const ModelSpec& model, const Device& device) {
  const std::vector<ElementType>& supported = device.info().types;
  std::string names;
  for (const ElementType type : supported)
    names += (names.empty() ? "" : ", ") + std::string(to_string(type));
  const std::string& experts = model.expert_format.name;
  const bool in_blocks = blocks_of(experts).has_value();
  const std::string& format = in_blocks ? model.dense_format.name : experts;
  const auto named = std::find_if(std::begin(all_types), std::end(all_types),
                                  [&](ElementType type) { return format == to_string(type); });
  if (named == std::end(all_types) ||
      std::find(supported.begin(), supported.end(), *named) == supported.end()) {
    throw InputError("model " + model.name,
                     std::string(in_blocks ? "all but its experts is" : "its experts are") + " stored as " +
                         format + "; the device " + device.info().kind + " computes in " + names +
                         (in_blocks ? "" : ", and takes experts in q8_0, q4_k and mxfp4 beside those"),
                     in_blocks ? "choose one with --dense-weights"
                               : "choose one with --weights, and the same with --dense-weights");
  }
  if (!in_blocks && model.dense_format.name != format) {
    throw InputError("model " + model.name,
                     "experts are stored as " + format + ", everything else as " + model.dense_format.name +
                         "; the runtime computes in one format",
                     "--dense-weights " + format);
  }
  return *named;
}

void check_blocks(const ModelSpec& model, const ModelShape& shape, const ExpertFormat& format,
                  const std::string& hint) {
  if (!format.blocks) return;
  const int values = kernels::block_values(*format.blocks);
  for (const auto& stack : shape.stacks) {
    for (const LayerShape& layer : stack) {
      if (!layer.moe) continue;
      if (shape.d_model % values == 0 && layer.expert.inner % values == 0) continue;
      throw InputError("model " + model.name,
                       "its experts' rows are no whole number of blocks of " + std::to_string(values) +
                           ", as " + model.expert_format.name + " has them",
                       hint);
    }
  }
}

ExpertFormat expert_format(const ModelSpec& model, Bytes element) {
  ExpertFormat format{blocks_of(model.expert_format.name), element, {}};
  for (const Stack& stack : model.stacks) format.bytes = std::max(format.bytes, model.expert_bytes(stack));
  return format;
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

Attention parse_attention(const std::string& name, const std::string& where) {
  if (name == "products") return Attention::products;
  if (name == "kv-cache") return Attention::kv_cache;
  throw InputError(where, "'" + printable(name) + "' is no way to execute attention",
                   "products, or kv-cache");
}

bool is_unpacked(const std::string& format) { return blocks_of(format).has_value(); }

ModelShape model_shape(const ModelSpec& model, const Device& device, const ModelSpec* low,
                       Attention attention) {
  require_uniform_moe(model, "the runtime");
  ModelShape shape;
  shape.d_model = model.d_model;
  shape.type = type_of(model, device);
  shape.element = element_bytes(shape.type);
  shape.experts = expert_format(model, shape.element);
  if (low != nullptr) shape.low = expert_format(*low, shape.element);
  if (model.vocabulary > std::numeric_limits<int>::max())
    throw InputError("model " + model.name, "a vocabulary of more than 2^31 entries", "");
  shape.vocabulary = static_cast<int>(model.vocabulary);
  if (attention == Attention::kv_cache) check_attention_over_cache(model);
  for (const Stack& stack : model.stacks) {
    std::vector<LayerShape> layers;
    for (const LayerProfile& profile : model.profile(stack)) {
      LayerShape layer;
      layer.moe = profile.moe;
      // Two products of d_model x width weights take 4 FLOP a weight row and token.
      layer.attention = whole(profile.attention_flop_per_token / (4.0 * model.d_model));
      if (attention == Attention::kv_cache) {
        layer.over_cache = cached_attention(stack.mixer_of(profile.layer));
        if (layer.over_cache.heads > 0) layer.attention = 0;
      }
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
  }
  check_blocks(model, shape, shape.experts, "choose another format with --weights");
  if (low != nullptr) check_blocks(*low, shape, *shape.low, "leave formats.low out of the policy");
  return shape;
}

}  // namespace pregate::runtime
