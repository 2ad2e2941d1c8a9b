// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/files/gguf_model.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <set>

#include "models/error.hpp"
#include "models/files/gguf_layers.hpp"

namespace pregate {
namespace {

constexpr int most_layers = 10'000;

/// The number in "blk.12.attn_q.weight", and what follows it; -1 for other names.
int block_of(std::string_view name, std::string_view& rest) {
  constexpr std::string_view prefix = "blk.";
  if (!name.starts_with(prefix)) return -1;
  int layer = -1;
  const char* end = name.data() + name.size();
  const auto [at, fault] = std::from_chars(name.data() + prefix.size(), end, layer);
  if (fault != std::errc{} || at == end || *at != '.' || layer < 0) return -1;
  rest = name.substr(static_cast<std::size_t>(at + 1 - name.data()));
  return layer;
}

bool is_of_other_part(std::string_view name) {
  for (const char* prefix : {"v.", "mm.", "a.", "resampler.", "nextn.", "mtp."}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

std::string in_words_of_gib(Bytes bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes.count) / (1 << 30));
  return text;
}

/// Bytes and element types of some tensors.
struct Held {
  Bytes bytes;
  std::int64_t values = 0;
  std::set<std::string> types;

  void add(const GgufTensor& tensor) {
    bytes += tensor.bytes;
    std::int64_t count = 1;
    for (const std::int64_t size : tensor.dims) count *= size;
    values += count;
    // Norms and biases are f32 in every file.
    if (tensor.dims.size() > 1 && tensor.type->weights && tensor.name.ends_with(".weight"))
      types.insert(std::string(tensor.type->name));
  }
  /// "q4_k/q6_k" and their mean; `fallback` where there is none.
  [[nodiscard]] WeightFormat format(const WeightFormat& fallback) const {
    if (values == 0 || types.empty()) return fallback;
    if (types.size() == 1) {
      WeightFormat one = weight_format(*types.begin(), {});
      one.bits_per_parameter = 8.0 * static_cast<double>(bytes.count) / static_cast<double>(values);
      return one;
    }
    std::string name;
    for (const std::string& type : types) name += (name.empty() ? "" : "/") + type;
    return {name, 8.0 * static_cast<double>(bytes.count) / static_cast<double>(values), "fp16"};
  }
};

struct HeldByLayer {
  Held mixer, feed_forward, experts;
};

int index_of(std::vector<PartFormats>& known, const PartFormats& formats) {
  const auto same = [](const WeightFormat& a, const WeightFormat& b) {
    return a.name == b.name && a.bits_per_parameter == b.bits_per_parameter;
  };
  const auto found = std::find_if(known.begin(), known.end(), [&](const PartFormats& f) {
    return same(f.experts, formats.experts) && same(f.attention, formats.attention) &&
           same(f.dense_ffn, formats.dense_ffn);
  });
  if (found != known.end()) return static_cast<int>(found - known.begin());
  known.push_back(formats);
  return static_cast<int>(known.size()) - 1;
}

/// Sorts the tensors by layer; what belongs to no layer of the text model is counted in `model`.
std::vector<GgufLayer> sort_tensors(const GgufFile& file, const GgufKeys& keys, int layers,
                                    ModelSpec& model) {
  std::vector<GgufLayer> sorted(static_cast<std::size_t>(layers));
  Held embeddings, head, next_tokens, others;
  for (const GgufTensor& tensor : file.tensors) {
    std::string_view rest;
    const int layer = block_of(tensor.name, rest);
    if (layer >= layers || (layer >= 0 && rest.starts_with("nextn."))) {
      next_tokens.add(tensor);
    } else if (layer >= 0) {
      sorted[static_cast<std::size_t>(layer)].add(rest, tensor);
    } else if (tensor.name == "output.weight" || tensor.name == "output.bias") {
      head.add(tensor);
    } else if (is_of_other_part(tensor.name)) {
      others.add(tensor);
    } else if (tensor.name.starts_with("enc.") || tensor.name.starts_with("dec.")) {
      keys.refuse("holds an encoder and a decoder, which .gguf files are not read for",
                  "describe the model in TOML (docs/models.md)");
    } else if (tensor.dims.size() > 1) {
      embeddings.add(tensor);
    }
  }
  model.stored_embeddings = embeddings.bytes;
  model.stored_head = head.bytes;
  model.tied_embeddings = head.values == 0;
  if (next_tokens.values > 0)
    model.left_out.push_back("multi-token prediction (" + in_words_of_gib(next_tokens.bytes) +
                             " in the file)");
  if (others.values > 0)
    model.left_out.push_back("images or sound (" + in_words_of_gib(others.bytes) + " in the file)");
  for (int i = 0; i < layers; ++i) {
    if (sorted[static_cast<std::size_t>(i)].tensors().empty()) {
      keys.refuse("has no tensors of layer " + std::to_string(i) + ", though block_count is " +
                      std::to_string(layers),
                  "it may be one part of a file in parts, or cut");
    }
  }
  model.embedding_format = embeddings.format(weight_format("fp16", {}));
  model.head_format = head.format(model.embedding_format);
  return sorted;
}

HeldByLayer hold(const GgufKeys& keys, const GgufLayer& tensors, const FeedForward& feed_forward, int layer) {
  HeldByLayer held;
  for (const auto& [name, tensor] : tensors.tensors()) {
    switch (part_of(name)) {
      case GgufPart::mixer:
        held.mixer.add(*tensor);
        break;
      case GgufPart::feed_forward:
        held.feed_forward.add(*tensor);
        break;
      case GgufPart::experts:
        held.experts.add(*tensor);
        break;
    }
  }
  if (feed_forward.kind == FeedForward::Kind::moe && held.experts.bytes.count % feed_forward.moe.experts != 0)
    keys.refuse("layer " + std::to_string(layer) + ": its experts are not of one size");
  return held;
}

/// What was understood of the layers must be what the file holds: a matrix that no rule knows would be left
/// out of every time.
void check_count(const GgufKeys& keys, const ModelSpec& model, std::int64_t values) {
  const auto understood = static_cast<double>(model.parameter_count());
  const auto held = static_cast<double>(values);
  if (std::abs(understood - held) <= 0.03 * held) return;
  char text[160];
  std::snprintf(text, sizeof text, "its layers as understood have %.4g parameters, its tensors %.4g",
                understood, held);
  keys.refuse(text, "this architecture is not known here; describe the model in TOML (docs/models.md)");
}

}  // namespace

ModelSpec model_of(const GgufFile& file, const std::string& name) {
  const GgufKeys keys(file);
  ModelSpec model;
  model.name = name;
  model.family = printable(file.architecture);
  model.source = printable(file.path, 200);
  model.description = "as its file says: " + in_words_of_gib(file.bytes) +
                      (file.parts > 1 ? " in " + std::to_string(file.parts) + " parts" : "");
  const auto embedding = std::find_if(file.tensors.begin(), file.tensors.end(),
                                      [](const GgufTensor& t) { return t.name == "token_embd.weight"; });
  if (embedding == file.tensors.end() || embedding->dims.size() != 2) {
    keys.refuse("has no table of embeddings (token_embd.weight)",
                "it may be one part of a file in parts, an adapter or a projector");
  }
  model.d_model = keys.number("embedding_length", 1, 1 << 20);
  if (embedding->dims[0] != model.d_model)
    keys.refuse("token_embd.weight is not as wide as embedding_length");
  model.vocabulary = embedding->dims[1];
  const int blocks = keys.number("block_count", 1, most_layers);
  const int next_tokens = keys.number_or("nextn_predict_layers", 0, blocks - 1, 0);
  const int layers = blocks - next_tokens;
  const std::vector<GgufLayer> sorted = sort_tensors(file, keys, layers, model);

  const WeightFormat fallback = weight_format("fp16", {});
  model.kv_format = fallback;  // llama.cpp's default, --cache-type-k f16
  model.expert_format = model.dense_format = fallback;
  Stack stack;
  stack.name = "decoder";
  Held experts, rest;
  std::int64_t values = embedding->dims[0] * embedding->dims[1] * (model.tied_embeddings ? 1 : 2);
  for (int i = 0; i < layers; ++i) {
    const GgufLayer& tensors = sorted[static_cast<std::size_t>(i)];
    const FeedForward feed_forward = read_gguf_feed_forward(keys, tensors, i, model.d_model);
    stack.add_layer(read_gguf_mixer(keys, file.architecture, tensors, i, model.d_model), feed_forward);
    const HeldByLayer held = hold(keys, tensors, feed_forward, i);
    Layer& layer = stack.layers.back();
    layer.stored_mixer = held.mixer.bytes;
    layer.stored_feed_forward = held.feed_forward.bytes;
    if (feed_forward.kind == FeedForward::Kind::moe)
      layer.stored_expert = Bytes{held.experts.bytes.count / feed_forward.moe.experts};
    const WeightFormat of_mixer = held.mixer.format(fallback), of_rest = held.feed_forward.format(of_mixer);
    layer.formats =
        index_of(model.formats, {held.experts.format(fallback), of_mixer, of_rest, of_rest, of_rest});
    for (const auto& [tensor_name, tensor] : tensors.tensors()) {
      (part_of(tensor_name) == GgufPart::experts ? experts : rest).add(*tensor);
    }
  }
  model.expert_format = experts.format(fallback);
  model.dense_format = rest.format(fallback);
  stack.norm_bias = sorted.front().find("attn_norm.bias") != nullptr;
  model.stacks = {stack};
  check_count(keys, model, values + experts.values + rest.values);
  return model;
}

}  // namespace pregate
