// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/report/model_report.hpp"

#include <algorithm>

namespace pregate::sim {
namespace {

/// The group that `is_same` finds, or a new one at the end.
template <typename Group, typename IsSame>
Group& group_of(std::vector<Group>& groups, IsSame&& is_same) {
  const auto found = std::find_if(groups.begin(), groups.end(), is_same);
  return found != groups.end() ? *found : groups.emplace_back();
}

void add_layer(ModelReport& report, const Stack& stack, const LayerProfile& layer) {
  const Mixer& mixer = stack.mixer_of(layer.layer);
  if (mixer.kind != MixerKind::none) {
    MixerGroup& group = group_of(report.mixers, [&](const MixerGroup& each) {
      return each.stack == stack.name && each.mixer == mixer;
    });
    group.stack = stack.name;
    group.mixer = mixer;
    ++group.layers;
    group.per_token = layer.cached_per_token();
    group.state = layer.state;
    group.at_context += layer.cached(report.context);
  }
  const FeedForward& feed_forward = stack.feed_forward_of(layer.layer);
  if (feed_forward.kind == FeedForward::Kind::none) return;
  FeedForwardGroup& group = group_of(report.feed_forwards, [&](const FeedForwardGroup& each) {
    return each.stack == stack.name && each.feed_forward == feed_forward;
  });
  const bool is_new = group.layers == 0;
  group.stack = stack.name;
  group.feed_forward = feed_forward;
  ++group.layers;
  group.least_expert = is_new ? layer.expert : std::min(group.least_expert, layer.expert);
  group.largest_expert = std::max(group.largest_expert, layer.expert);
}

void note_format(PartSize& part, const std::string& name) {
  if (std::find(part.formats.begin(), part.formats.end(), name) == part.formats.end())
    part.formats.push_back(name);
}

std::vector<PartSize> sizes_by_part(const ModelSpec& model) {
  PartSize experts{"routed experts", {}, model.all_expert_bytes()};
  PartSize attention{"token mixers", {}, {}};
  PartSize resident{"shared, dense, routers", {}, {}};
  for (const Stack& stack : model.stacks) {
    for (const LayerProfile& layer : model.profile(stack)) {
      const PartFormats formats = model.formats_of(stack.layers[static_cast<std::size_t>(layer.layer)]);
      attention.bytes += layer.attention_weights + layer.cross_kv_weights;
      resident.bytes += layer.ffn_weights;
      if (layer.mixer != MixerKind::none) note_format(attention, formats.attention.name);
      if (!layer.feed_forward) continue;
      const FeedForward& feed_forward = stack.feed_forward_of(layer.layer);
      if (!layer.moe || feed_forward.moe.latent_dim > 0) note_format(resident, formats.dense_ffn.name);
      if (!layer.moe) continue;
      note_format(experts, formats.experts.name);
      if (feed_forward.moe.shared_ffn_dim > 0) note_format(resident, formats.shared_experts.name);
      note_format(resident, formats.router.name);
    }
  }
  PartSize tables{"embeddings and head", {}, model.dense_bytes() - attention.bytes - resident.bytes};
  const auto name_or = [](const WeightFormat& format, const WeightFormat& fallback) {
    return format.bits_per_parameter > 0 ? format : fallback;
  };
  const WeightFormat table = name_or(model.embedding_format, model.dense_format);
  note_format(tables, table.name);
  if (!model.tied_embeddings) note_format(tables, name_or(model.head_format, table).name);
  return {experts, attention, resident, tables};
}

std::string counted(int count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string describe_index(const Mixer& m) {
  if (m.indexer.heads == 0) return "";
  if (m.indexer.shared) return "; reads " + std::to_string(m.indexer.top_k) + " as an earlier layer chose";
  return "; indexer of " + std::to_string(m.indexer.heads) + " x " + std::to_string(m.indexer.head_dim) +
         " reads " + std::to_string(m.indexer.top_k);
}

}  // namespace

ModelReport report_on(const ModelSpec& model, std::int64_t context) {
  ModelReport report;
  report.model = model;
  report.context = context;
  for (const Stack& stack : model.stacks) {
    for (const LayerProfile& layer : model.profile(stack)) {
      add_layer(report, stack, layer);
      if (!layer.moe) continue;
      report.routed_parameters +=
          layer.experts * model.expert_parameter_count(stack.feed_forward_of(layer.layer).moe);
      const bool is_first = report.largest_expert.count == 0;
      report.least_expert = is_first ? layer.expert : std::min(report.least_expert, layer.expert);
      report.largest_expert = std::max(report.largest_expert, layer.expert);
    }
  }
  report.parts = sizes_by_part(model);
  return report;
}

std::string describe_mixer(const Mixer& m) {
  const auto number = [](int value) { return std::to_string(value); };
  std::string text = to_string(m.kind);
  if (m.window > 0) text += ", window " + number(m.window);
  if (m.compress_ratio > 0) text += ", one entry for " + number(m.compress_ratio) + " tokens";
  const bool by_channel = m.kind == MixerKind::mamba || m.kind == MixerKind::short_convolution;
  text += ": " + counted(m.heads, by_channel ? "channel" : "head");
  switch (m.kind) {
    case MixerKind::none:
      return to_string(m.kind);
    case MixerKind::grouped_query:
      text += ", " + number(m.kv_heads) + " key-value, of " + number(m.head_dim);
      if (m.value_dim() != m.head_dim) text += " (values " + number(m.value_dim()) + ")";
      if (m.q_lora_rank > 0) text += ", query rank " + number(m.q_lora_rank);
      break;
    case MixerKind::multi_head_latent:
      text += ", latent " + number(m.kv_lora_rank) + " + " + number(m.qk_rope_head_dim);
      break;
    case MixerKind::compressed:
      text += " of " + number(m.head_dim);
      break;
    case MixerKind::mamba2:
      text +=
          " of " + number(m.head_dim) + ", " + counted(m.groups, "group") + ", state " + number(m.state_dim);
      break;
    case MixerKind::mamba:
      text += ", state " + number(m.state_dim) + " each";
      break;
    case MixerKind::short_convolution:
      text += ", " + counted(m.conv_kernel, "tap");
      break;
    case MixerKind::gated_delta_net:
    case MixerKind::kimi_delta:
    case MixerKind::lightning:
      text += ", state " + number(m.head_dim) + " x " + number(m.value_dim());
      break;
  }
  return text + describe_index(m);
}

std::string describe_feed_forward(const FeedForward& f) {
  if (f.kind == FeedForward::Kind::none) return "none";
  if (f.kind == FeedForward::Kind::dense) return "dense, width " + std::to_string(f.ffn_dim);
  std::string text = "MoE, " + std::to_string(f.moe.experts) + " experts, top-" +
                     std::to_string(f.moe.top_k) + ", width " + std::to_string(f.moe.ffn_dim);
  if (f.moe.latent_dim > 0) text += " on a latent of " + std::to_string(f.moe.latent_dim);
  if (f.moe.shared_ffn_dim > 0) text += ", shared " + std::to_string(f.moe.shared_ffn_dim);
  return text;
}

std::string short_kinds(const ModelReport& report) {
  std::vector<std::pair<std::string, int>> kinds;
  for (const MixerGroup& group : report.mixers) {
    std::string name;
    switch (group.mixer.kind) {
      case MixerKind::none:
        continue;
      case MixerKind::grouped_query:
        name = "F";
        break;
      case MixerKind::multi_head_latent:
        name = group.mixer.indexer.heads > 0 ? "S" : "A";
        break;
      case MixerKind::compressed:
        name = "C";
        break;
      case MixerKind::gated_delta_net:
      case MixerKind::kimi_delta:
      case MixerKind::lightning:
        name = "L";
        break;
      case MixerKind::short_convolution:
        name = "K";
        break;
      case MixerKind::mamba:
      case MixerKind::mamba2:
        name = "M";
        break;
    }
    if (group.mixer.window > 0 && group.mixer.kind != MixerKind::compressed) name = "W";
    const auto known =
        std::find_if(kinds.begin(), kinds.end(), [&](const auto& each) { return each.first == name; });
    if (known == kinds.end()) {
      kinds.emplace_back(name, group.layers);
    } else {
      known->second += group.layers;
    }
  }
  std::string text;
  for (const auto& [name, layers] : kinds) text += (text.empty() ? "" : " ") + std::to_string(layers) + name;
  return text;
}

}  // namespace pregate::sim
