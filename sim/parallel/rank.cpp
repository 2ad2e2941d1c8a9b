// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/rank.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "models/shares.hpp"

namespace pregate::sim {

namespace {

void check(const ModelSpec& model, const ParallelSpec& spec) {
  if (spec.data > 1 && !spec.spreads_experts()) {
    throw InputError("--dp", "GPUs with requests of their own have whole experts, or all of them",
                     "--ep spreads the experts over the GPUs of a stage");
  }
  const int layers = model.stacks.empty() ? 0 : static_cast<int>(model.stacks.front().layers.size());
  if (spec.pipeline > layers) {
    throw InputError("--pp",
                     std::to_string(spec.pipeline) + " stages of " + std::to_string(layers) + " layers",
                     "at most one stage a layer");
  }
}

/// By expert of a layer, the GPU of the stage that has it.
int owner(int expert, int experts, int gpus, ExpertSpread spread) {
  if (spread == ExpertSpread::round_robin) return expert % gpus;
  // Where they do not divide, the first GPUs have one more each.
  const int least = experts / gpus, longer = experts % gpus;
  const int of_longer = longer * (least + 1);
  return expert < of_longer ? expert / (least + 1) : longer + (expert - of_longer) / least;
}

/// The layer's feed-forward with so many experts; others may share it.
void set_experts(Stack& stack, int layer, int experts) {
  FeedForward feed_forward = stack.feed_forward_of(layer);
  feed_forward.moe.experts = experts;
  std::vector<FeedForward>& all = stack.feed_forwards;
  auto same = std::find(all.begin(), all.end(), feed_forward);
  if (same == all.end()) same = all.insert(all.end(), feed_forward);
  stack.layers[static_cast<std::size_t>(layer)].feed_forward = static_cast<int>(same - all.begin());
}

/// Its experts of each MoE layer, into `rank`. `first_key`: of its first one, in the whole trace.
void spread_experts(Rank& rank, const ParallelSpec& spec, const ModelSpec& model, std::size_t first_key) {
  const int gpus = spec.gpus_a_stage(), own = rank.group * spec.tensor + rank.part;
  for (trace::TraceLayer& layer : rank.info.layers) {
    const auto experts = static_cast<std::size_t>(layer.experts);
    std::vector<std::uint16_t> here(experts, trace::no_expert);
    std::uint16_t count = 0;
    for (std::size_t expert = 0; expert < experts; ++expert) {
      const int of = spec.homes ? (*spec.homes)[first_key + expert]
                                : owner(static_cast<int>(expert), layer.experts, gpus, spec.spread);
      if (of == own) here[expert] = count++;
    }
    first_key += experts;
    if (count == 0) {
      throw InputError("--ep",
                       "of " + std::to_string(layer.experts) + " experts of layer " +
                           std::to_string(rank.first_layer + layer.layer) + " of " + printable(model.name) +
                           " GPU " + std::to_string(own) + " of " + std::to_string(gpus) + " gets none",
                       "fewer GPUs a stage");
    }
    layer.experts = count;
    const int stack = rank.model.stack_index(rank.info.stacks[static_cast<std::size_t>(layer.stack)]);
    if (stack >= 0) set_experts(rank.model.stacks[static_cast<std::size_t>(stack)], layer.layer, count);
    rank.here.push_back(std::move(here));
  }
}

}  // namespace

std::vector<std::pair<int, int>> stage_layers(int layers, int stages) {
  std::vector<std::pair<int, int>> all;
  int first = 0;
  for (int stage = 0; stage < stages; ++stage) {
    const int count = layers / stages + (stage < layers % stages ? 1 : 0);
    all.emplace_back(first, first + count);
    first += count;
  }
  return all;
}

ModelSpec priced_model(const ModelSpec& model, const ParallelSpec& spec) {
  return tensor_share(model, spec.tensor, !spec.spreads_experts());
}

std::vector<Rank> make_ranks(const ModelSpec& model, const trace::TraceInfo& info, const ParallelSpec& spec) {
  check(model, spec);
  const ModelSpec shared = priced_model(model, spec);
  const int layers = static_cast<int>(model.stacks.front().layers.size());
  std::vector<Rank> ranks;
  for (int stage = 0; stage < spec.pipeline; ++stage) {
    Rank rank{.stage = stage, .model = shared, .info = info, .here = {}};
    if (spec.pipeline > 1) {
      const auto [first, end] = stage_layers(layers, spec.pipeline)[static_cast<std::size_t>(stage)];
      rank.first_layer = first;
      rank.model = layer_share(shared, first, end);
      rank.first_moe = static_cast<std::size_t>(
          std::count_if(info.layers.begin(), info.layers.end(),
                        [first = first](const trace::TraceLayer& layer) { return layer.layer < first; }));
      std::erase_if(rank.info.layers, [first = first, end = end](const trace::TraceLayer& layer) {
        return layer.layer < first || layer.layer >= end;
      });
      for (trace::TraceLayer& layer : rank.info.layers) layer.layer -= first;
    }
    for (int gpu = 0; gpu < spec.gpus_a_stage(); ++gpu) {
      Rank& added = ranks.emplace_back(rank);
      added.number = static_cast<int>(ranks.size()) - 1;
      added.group = gpu / spec.tensor;
      added.part = gpu % spec.tensor;
      if (!spec.spreads_experts() || spec.gpus_a_stage() == 1) continue;
      std::size_t first_key = 0;
      for (std::size_t i = 0; i < added.first_moe; ++i)
        first_key += static_cast<std::size_t>(info.layers[i].experts);
      spread_experts(added, spec, model, first_key);
    }
  }
  return ranks;
}

}  // namespace pregate::sim
