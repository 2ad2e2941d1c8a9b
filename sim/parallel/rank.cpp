// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/parallel/rank.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "models/error.hpp"
#include "models/shares.hpp"
#include "sim/expert_placement/replicas.hpp"

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
void spread_experts(Rank& rank, const ParallelSpec& spec, const ExpertHomes& homes, const ModelSpec& model,
                    std::size_t first_key) {
  const int gpus = spec.gpus_a_stage(), own = rank.group * spec.tensor + rank.part;
  auto copy = homes.copies.begin();
  for (trace::TraceLayer& layer : rank.info.layers) {
    const auto experts = static_cast<std::size_t>(layer.experts);
    std::vector<std::uint16_t> here(experts, trace::no_expert);
    std::uint16_t count = 0;
    for (std::size_t expert = 0; expert < experts; ++expert) {
      const std::size_t key = first_key + expert;
      int held = homes.of_key[key] == own ? 1 : 0;
      while (copy != homes.copies.end() && copy->key < key) ++copy;
      for (; copy != homes.copies.end() && copy->key == key; ++copy) held += copy->gpu == own ? 1 : 0;
      if (held == 0) continue;
      here[expert] = count;
      count = static_cast<std::uint16_t>(count + held);
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

std::vector<int> given_layers(int layers, const ParallelSpec& spec) {
  std::vector<int> counts;
  int sum = 0;
  std::istringstream text(spec.layers);
  for (std::string each; std::getline(text, each, ',');) {
    int count = 0;
    const auto [end, error] = std::from_chars(each.data(), each.data() + each.size(), count);
    if (error != std::errc() || end != each.data() + each.size() || count < 1 || count > layers)
      throw InputError("parallel.layers", "'" + printable(each) + "' is no number of layers", "e.g. 20,28");
    counts.push_back(count);
    sum += count;
  }
  if (static_cast<int>(counts.size()) != spec.pipeline || sum != layers) {
    throw InputError("parallel.layers",
                     std::to_string(counts.size()) + " stages of " + std::to_string(sum) + " layers, where " +
                         std::to_string(spec.pipeline) + " have " + std::to_string(layers),
                     "a number for each stage (--pp, --gpus), which add up to all layers");
  }
  return counts;
}

std::vector<int> layers_by_memory(int layers, std::span<const Bytes> memory) {
  double all = 0, before = 0;
  for (const Bytes each : memory) all += static_cast<double>(each.count);
  std::vector<int> counts(memory.size());
  std::size_t stage = 0;
  before = static_cast<double>(memory.front().count);
  for (int layer = 0; layer < layers; ++layer) {
    while (stage + 1 < memory.size() && static_cast<double>(layer) / (layers + 1) >= before / all)
      before += static_cast<double>(memory[++stage].count);
    ++counts[stage];
  }
  const auto none = std::find(counts.begin(), counts.end(), 0);
  if (none != counts.end()) {
    throw InputError("--gpus",
                     "by its memory GPU " + std::to_string(none - counts.begin()) + " gets no layer",
                     "--set parallel.layers=20,28, a number for each");
  }
  return counts;
}

}  // namespace

std::vector<std::pair<int, int>> stage_layers(int layers, const ParallelSpec& spec,
                                              std::span<const Bytes> memory) {
  std::vector<int> counts;
  if (!spec.layers.empty()) {
    counts = given_layers(layers, spec);
  } else if (!memory.empty()) {
    counts = layers_by_memory(layers, memory);
  } else {
    for (int stage = 0; stage < spec.pipeline; ++stage)
      counts.push_back(layers / spec.pipeline + (stage < layers % spec.pipeline ? 1 : 0));
  }
  std::vector<std::pair<int, int>> all;
  int first = 0;
  for (const int count : counts) {
    all.emplace_back(first, first + count);
    first += count;
  }
  return all;
}

ModelSpec priced_model(const ModelSpec& model, const ParallelSpec& spec) {
  return tensor_share(model, spec.tensor, !spec.spreads_experts());
}

ExpertHomes first_homes(const trace::TraceInfo& info, const ParallelSpec& spec) {
  if (spec.homes) return *spec.homes;
  const int gpus = spec.gpus_a_stage();
  ExpertHomes homes{.gpus = gpus, .of_key = {}, .copies = {}};
  ExpertKey first_key = 0;
  for (const trace::TraceLayer& layer : info.layers) {
    for (int expert = 0; expert < layer.experts; ++expert)
      homes.of_key.push_back(static_cast<std::uint8_t>(owner(expert, layer.experts, gpus, spec.spread)));
    if (spec.redundant > 0) {
      const std::vector<double> alike(static_cast<std::size_t>(layer.experts), 1);
      ReplicaShape shape;
      shape.slots = layer.experts + spec.redundant;
      shape.gpus = gpus;
      MoeLayer placed;
      placed.experts = layer.experts;
      placed.first_key = first_key;
      set_replicas(homes, placed, balance_replicas(alike, shape));
    }
    first_key += static_cast<ExpertKey>(layer.experts);
  }
  return homes;
}

std::vector<Rank> make_ranks(const ModelSpec& model, const trace::TraceInfo& info, const ParallelSpec& spec,
                             std::span<const Bytes> memory) {
  check(model, spec);
  const ModelSpec shared = priced_model(model, spec);
  const int layers = static_cast<int>(model.stacks.front().layers.size());
  const ExpertHomes homes = spec.spreads_experts() ? first_homes(info, spec) : ExpertHomes{};
  std::vector<Rank> ranks;
  for (int stage = 0; stage < spec.pipeline; ++stage) {
    Rank rank{.stage = stage, .model = shared, .info = info, .here = {}};
    if (spec.pipeline > 1) {
      const auto [first, end] = stage_layers(layers, spec, memory)[static_cast<std::size_t>(stage)];
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
      spread_experts(added, spec, homes, model, first_key);
    }
  }
  return ranks;
}

}  // namespace pregate::sim
