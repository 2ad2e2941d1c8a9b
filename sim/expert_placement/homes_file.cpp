// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_placement/homes_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/catalog.hpp"
#include "models/document.hpp"
#include "models/table_reader.hpp"

namespace pregate::sim {

namespace {

constexpr const char* homes_format = "pregate-expert-placement";
constexpr int homes_version = 1;

const std::vector<Node>& array(TableReader& table, const char* key) {
  const Node* const node = table.find(key);
  if (node == nullptr) throw InputError(table.where(), std::string("the key '") + key + "' is missing");
  if (node->kind != Node::Kind::array) throw InputError(table.where(key), "must be an array");
  return node->items;
}

/// A whole number from 0 to `most`.
std::int64_t index(const Node& node, std::int64_t most, const std::string& where, const char* of) {
  if (node.kind != Node::Kind::integer || node.integer < 0 || node.integer > most) {
    throw InputError(
        where, std::string("every ") + of + " must be a whole number from 0 to " + std::to_string(most));
  }
  return node.integer;
}

void read_layer(TableReader& table, const std::string& stack, const MoeLayer& layer, ExpertHomes& homes) {
  const std::string named =
      "the trace's next MoE layer is '" + printable(stack) + "' " + std::to_string(layer.layer);
  if (table.text("stack") != stack || table.integer("layer", 0, INT32_MAX) != layer.layer) {
    throw InputError(table.where("layer"), "these homes are of other MoE layers: " + named,
                     "make them again: pregate place TRACE.db");
  }
  const std::vector<Node>& gpus = array(table, "gpu_of_expert");
  if (gpus.size() != static_cast<std::size_t>(layer.experts)) {
    throw InputError(
        table.where("gpu_of_expert"),
        "has " + std::to_string(gpus.size()) + " GPUs for " + std::to_string(layer.experts) + " experts",
        "make them again: pregate place TRACE.db");
  }
  ExpertKey key = layer.first_key;
  for (const Node& gpu : gpus)
    homes.of_key[key++] =
        static_cast<std::uint8_t>(index(gpu, homes.gpus - 1, table.where("gpu_of_expert"), "GPU"));
  if (!table.has("copies")) return;
  const std::string where = table.where("copies");
  for (const Node& pair : array(table, "copies")) {
    if (pair.kind != Node::Kind::array || pair.items.size() != 2)
      throw InputError(where, "every copy must be a pair [expert, GPU]");
    const auto expert =
        static_cast<ExpertKey>(index(pair.items[0], layer.experts - 1, where, "copied expert"));
    homes.copies.push_back(
        {layer.first_key + expert,
         static_cast<std::uint8_t>(index(pair.items[1], homes.gpus - 1, where, "copy's GPU"))});
  }
}

}  // namespace

std::string homes_json(const ExpertHomes& homes, const trace::TraceInfo& info, const HomesOrigin& origin) {
  using Json = nlohmann::ordered_json;
  Json document = {{"format", homes_format}, {"version", homes_version},           {"kind", origin.kind},
                   {"model", origin.model},  {"learned_from_trace", origin.trace}, {"gpus", homes.gpus},
                   {"layers", Json::array()}};
  const ExpertMap map(info);
  for (const MoeLayer& layer : map.layers()) {
    Json entry = {{"stack", info.stacks[static_cast<std::size_t>(layer.stack)]}, {"layer", layer.layer}};
    const auto first = homes.of_key.begin() + static_cast<std::ptrdiff_t>(layer.first_key);
    entry["gpu_of_expert"] = std::vector<int>(first, first + layer.experts);
    for (const ExpertCopy& copy : homes.copies)
      if (copy.key >= layer.first_key && copy.key - layer.first_key < static_cast<ExpertKey>(layer.experts))
        entry["copies"].push_back({copy.key - layer.first_key, copy.gpu});
    document["layers"].push_back(std::move(entry));
  }
  // A layer a line: what people compare.
  std::string text = "{";
  for (const auto& [key, value] : document.items()) {
    if (key == "layers") continue;
    text +=
        "\n  " + Json(key).dump() + ": " + value.dump(-1, ' ', true, Json::error_handler_t::replace) + ",";
  }
  text += "\n  \"layers\": [";
  const char* before = "\n    ";
  for (const Json& layer : document["layers"]) {
    text += before + layer.dump(-1, ' ', true, Json::error_handler_t::replace);
    before = ",\n    ";
  }
  return text + "\n  ]\n}\n";
}

ExpertHomes parse_homes(const std::string& text, const trace::TraceInfo& info, const std::string& where) {
  const Node root = parse_json_document(text, where);
  if (root.kind != Node::Kind::table) throw InputError(where, "is no homes of experts: not an object");
  TableReader table(root, "");
  if (table.text_or("format", "") != homes_format) {
    throw InputError(where, "is no placement of experts over GPUs",
                     "pregate place TRACE.db --gpus N -o FILE.json writes one");
  }
  std::ignore = table.integer("version", homes_version, homes_version);
  for (const char* said : {"kind", "model", "learned_from_trace"}) std::ignore = table.text_or(said, "");
  ExpertHomes homes;
  homes.gpus = static_cast<int>(table.integer("gpus", 1, max_expert_gpus));
  const ExpertMap map(info);
  homes.of_key.resize(map.keys());
  std::vector<TableReader> layers = table.tables("layers");
  table.finish();
  if (layers.size() != map.layers().size()) {
    throw InputError(where,
                     "has homes of " + std::to_string(layers.size()) + " MoE layers, the trace " +
                         std::to_string(map.layers().size()),
                     "is it of another model? make it again: pregate place TRACE.db");
  }
  for (std::size_t ordinal = 0; ordinal < layers.size(); ++ordinal) {
    const MoeLayer& layer = map.layers()[ordinal];
    read_layer(layers[ordinal], info.stacks[static_cast<std::size_t>(layer.stack)], layer, homes);
    layers[ordinal].finish();
  }
  std::stable_sort(homes.copies.begin(), homes.copies.end(),
                   [](const ExpertCopy& a, const ExpertCopy& b) { return a.key < b.key; });
  return homes;
}

ExpertHomes read_homes(const std::string& path, const trace::TraceInfo& info) {
  constexpr std::int64_t most = 16 << 20;
  return parse_homes(read_text_file(path, Bytes{most}), info, path);
}

}  // namespace pregate::sim
