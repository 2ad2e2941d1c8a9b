// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "models/fields/describe.hpp"
#include "models/model.hpp"
#include "sim/report/fields_json.hpp"

namespace pregate::sim {

namespace {

using Json = nlohmann::ordered_json;

void add_bytes(Json& json, const char* key, Bytes bytes) {
  if (bytes.count > 0) json[key] = bytes.count;
}

/// A layer, by the mixers, feed-forwards and formats that the lists beside it hold.
Json layer_json(const Layer& layer) {
  Json json{{"mixer", layer.mixer}, {"feed_forward", layer.feed_forward}};
  if (layer.formats >= 0) json["formats"] = layer.formats;
  add_bytes(json, "stored_mixer_bytes", layer.stored_mixer);
  add_bytes(json, "stored_feed_forward_bytes", layer.stored_feed_forward);
  add_bytes(json, "stored_expert_bytes", layer.stored_expert);
  return json;
}

/// Layers in order, alike neighbours as one entry with their number.
Json runs_of(const Stack& stack) {
  Json runs = Json::array();
  Json last;
  int count = 0;
  const auto close = [&] {
    if (count == 0) return;
    Json run{{"layers", count}};
    run.update(last);
    runs.push_back(std::move(run));
  };
  for (const Layer& layer : stack.layers) {
    Json json = layer_json(layer);
    if (json != last) {
      close();
      last = std::move(json);
      count = 0;
    }
    ++count;
  }
  close();
  return runs;
}

template <typename Spec>
Json list_of(const std::vector<Spec>& specs, const Fields<Spec>& fields) {
  Json list = Json::array();
  for (const Spec& spec : specs) {
    Json json = Json::object();
    json["kind"] = name_of(spec.kind);
    add_set_fields(json, fields, spec);
    list.push_back(std::move(json));
  }
  return list;
}

Json stack_json(const ModelSpec& model, const Stack& stack) {
  const MoeBlock& moe = stack.first_moe();
  return {{"name", stack.name},
          {"layers", stack.layers.size()},
          {"moe_layers", moe_layers(stack).size()},
          {"experts", moe.experts},
          {"top_k", moe.top_k},
          {"expert_bytes", model.expert_bytes(stack).count},
          {"cross_attention", stack.cross_attention},
          {"norm_bias", stack.norm_bias},
          {"mixers", list_of(stack.mixers, mixer_fields())},
          {"feed_forwards", list_of(stack.feed_forwards, feed_forward_fields())},
          {"runs", runs_of(stack)}};
}

/// Where the parts of layers have formats of their own, and what files store.
void add_storage(Json& json, const ModelSpec& model) {
  if (model.embedding_format.bits_per_parameter > 0) json["embedding_format"] = model.embedding_format.name;
  if (model.head_format.bits_per_parameter > 0) json["head_format"] = model.head_format.name;
  for (const PartFormats& formats : model.formats) {
    json["formats"].push_back({{"experts", formats.experts.name},
                               {"attention", formats.attention.name},
                               {"shared_experts", formats.shared_experts.name},
                               {"dense_ffn", formats.dense_ffn.name},
                               {"router", formats.router.name}});
  }
  add_bytes(json, "stored_embeddings_bytes", model.stored_embeddings);
  add_bytes(json, "stored_head_bytes", model.stored_head);
}

}  // namespace

Json model_config_json(const ModelSpec& model) {
  Json stacks = Json::array();
  for (const Stack& stack : model.stacks) stacks.push_back(stack_json(model, stack));
  Json json{{"name", model.name},
            {"parameters", model.parameter_count()},
            {"expert_format", model.expert_format.name},
            {"dense_format", model.dense_format.name},
            {"kv_format", model.kv_format.name},
            {"dense_bytes", model.dense_bytes().count},
            {"all_expert_bytes", model.all_expert_bytes().count},
            {"kv_bytes_per_token", model.kv_bytes_per_token().count},
            {"stacks", std::move(stacks)},
            {"description", model.description},
            {"source", model.source}};
  add_fields(json, shape_fields(), model);
  add_storage(json, model);
  json["left_out"] = model.left_out;
  if (!model.published_source.empty()) {
    json["published"] = {{"parameters", model.published_parameters},
                         {"active", model.published_active},
                         {"source", model.published_source}};
  }
  return json;
}

}  // namespace pregate::sim
