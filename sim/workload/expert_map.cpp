// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/workload/expert_map.hpp"

#include <algorithm>

#include "models/error.hpp"

namespace pregate::sim {

namespace {

std::string layer_name(const trace::TraceInfo& info, const trace::TraceLayer& layer) {
  return printable(info.stacks[static_cast<std::size_t>(layer.stack)]) + " layer " +
         std::to_string(layer.layer);
}

/// The trace and the model must have the same MoE layers in every stack that the trace records.
void check_layers(const trace::TraceInfo& info, const ModelSpec& model, int stack, int model_stack,
                  const std::string& where) {
  const std::string& name = info.stacks[static_cast<std::size_t>(stack)];
  std::vector<int> recorded, described;
  for (const trace::TraceLayer& layer : info.layers) {
    if (layer.stack == stack) recorded.push_back(layer.layer);
  }
  for (const LayerProfile& layer : model.profile(model.stacks[static_cast<std::size_t>(model_stack)])) {
    if (layer.moe) described.push_back(layer.layer);
  }
  if (recorded == described) return;
  std::string difference = std::to_string(recorded.size()) + " recorded, " +
                           std::to_string(described.size()) + " in model " + model.name;
  if (recorded.size() == described.size()) {
    const auto at = std::mismatch(recorded.begin(), recorded.end(), described.begin());
    difference = "layer " + std::to_string(*at.first) + " recorded where the model has layer " +
                 std::to_string(*at.second);
  }
  throw InputError(where, "the MoE layers of the " + name + " do not match the model: " + difference,
                   "is this a trace of another model? the trace says '" + info.model + "'; see --model");
}

}  // namespace

ExpertMap::ExpertMap(const trace::TraceInfo& info) {
  ordinals_.assign(info.stacks.size(), {0, 0});
  for (const trace::TraceLayer& recorded : info.layers) {
    const int ordinal = static_cast<int>(layers_.size());
    auto& range = ordinals_[static_cast<std::size_t>(recorded.stack)];
    if (range.first == range.second) range = {ordinal, ordinal};
    range.second = ordinal + 1;
    layers_.push_back({.stack = recorded.stack,
                       .model_stack = recorded.stack,
                       .layer = recorded.layer,
                       .experts = recorded.experts,
                       .top_k = recorded.top_k,
                       .first_key = keys_,
                       .expert_bytes = recorded.expert_bytes.count > 0 ? recorded.expert_bytes : Bytes{1}});
    keys_ += static_cast<ExpertKey>(recorded.experts);
  }
}

ExpertMap::ExpertMap(const trace::TraceInfo& info, const ModelSpec& model, const std::string& where)
    : ExpertMap(info) {
  for (std::size_t stack = 0; stack < info.stacks.size(); ++stack) {
    const int model_stack = model.stack_index(info.stacks[stack]);
    if (model_stack < 0) {
      throw InputError(
          where,
          "the trace has a stack '" + printable(info.stacks[stack]) + "' that model " + model.name + " lacks",
          "is this a trace of another model? the trace says '" + info.model + "'; see --model");
    }
    check_layers(info, model, static_cast<int>(stack), model_stack, where);
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    MoeLayer& layer = layers_[i];
    layer.model_stack = model.stack_index(info.stacks[static_cast<std::size_t>(layer.stack)]);
    const Stack& stack = model.stacks[static_cast<std::size_t>(layer.model_stack)];
    const MoeBlock& moe = stack.feed_forward_of(layer.layer).moe;
    if (layer.experts != moe.experts) {
      throw InputError(where,
                       layer_name(info, info.layers[i]) + " routes over " + std::to_string(layer.experts) +
                           " experts, but model " + model.name + " has " + std::to_string(moe.experts),
                       "is this a trace of another model? the trace says '" + info.model + "'; see --model");
    }
    if (layer.top_k > moe.top_k) {
      throw InputError(where,
                       layer_name(info, info.layers[i]) + " has up to " + std::to_string(layer.top_k) +
                           " experts a token, but model " + model.name + " routes to " +
                           std::to_string(moe.top_k),
                       "is this a trace of another model? see --model");
    }
    layer.expert_bytes = model.expert_bytes(stack, layer.layer);
  }
}

int ExpertMap::ordinal_of(ExpertKey key) const {
  const auto after = std::upper_bound(layers_.begin(), layers_.end(), key,
                                      [](ExpertKey k, const MoeLayer& layer) { return k < layer.first_key; });
  return static_cast<int>(after - layers_.begin()) - 1;
}

std::int32_t ExpertMap::index_of(ExpertKey key) const {
  return static_cast<std::int32_t>(key - layers_[static_cast<std::size_t>(ordinal_of(key))].first_key);
}

}  // namespace pregate::sim
