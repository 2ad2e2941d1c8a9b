// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "sim/report/model_report.hpp"

namespace pregate::sim {
namespace {

using Json = nlohmann::ordered_json;

Json mixers(const ModelReport& report) {
  Json list = Json::array();
  for (const MixerGroup& group : report.mixers) {
    list.push_back({{"stack", group.stack},
                    {"layers", group.layers},
                    {"kind", to_string(group.mixer.kind)},
                    {"description", describe_mixer(group.mixer)},
                    {"heads", group.mixer.heads},
                    {"window_tokens", group.mixer.window},
                    {"cache_bytes_per_token_and_layer", group.per_token.count},
                    {"state_bytes_per_layer", group.state.count},
                    {"bytes_at_context", group.at_context.count}});
  }
  return list;
}

Json feed_forwards(const ModelReport& report) {
  Json list = Json::array();
  for (const FeedForwardGroup& group : report.feed_forwards) {
    const FeedForward& f = group.feed_forward;
    Json entry = {{"stack", group.stack}, {"layers", group.layers}};
    if (f.kind == FeedForward::Kind::moe) {
      entry["kind"] = "moe";
      entry["experts"] = f.moe.experts;
      entry["top_k"] = f.moe.top_k;
      entry["width"] = f.moe.ffn_dim;
      entry["latent_width"] = f.moe.latent_dim;
      entry["shared_width"] = f.moe.shared_ffn_dim;
      entry["expert_bytes"] = {{"least", group.least_expert.count}, {"largest", group.largest_expert.count}};
    } else {
      entry["kind"] = "dense";
      entry["width"] = f.ffn_dim;
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

std::string model_json(const ModelReport& report) {
  const ModelSpec& model = report.model;
  Json json = {{"format", "pregate-model"},
               {"version", 1},
               {"name", model.name},
               {"family", model.family},
               {"description", model.description},
               {"source", model.source},
               {"parameters",
                {{"total", model.parameter_count()},
                 {"active", model.active_parameter_count()},
                 {"routed_experts", report.routed_parameters},
                 {"shared_experts", model.shared_parameter_count()},
                 {"embeddings_and_head", model.embedding_parameter_count()}}}};
  if (model.published_parameters > 0) json["published"]["total"] = model.published_parameters;
  if (model.published_active > 0) json["published"]["active"] = model.published_active;
  json["mixers"] = mixers(report);
  json["feed_forwards"] = feed_forwards(report);
  json["cache"] = {{"format", model.kv_format.name},
                   {"context_tokens", report.context},
                   {"bytes_per_token", model.kv_bytes_per_token().count},
                   {"bytes_at_context", model.kv_bytes(report.context).count}};
  json["stored"] = Json::array();
  for (const PartSize& part : report.parts)
    json["stored"].push_back({{"part", part.part}, {"formats", part.formats}, {"bytes", part.bytes.count}});
  json["left_out"] = model.left_out;
  // Names come from files of users: bytes that are no UTF-8 are replaced.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pregate::sim
