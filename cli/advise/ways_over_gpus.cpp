// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// What real software offers on several GPUs, and how layers are dealt out over them.
#include <algorithm>
#include <numeric>

#include "cli/advise/commands.hpp"
#include "cli/advise/setting.hpp"
#include "models/error.hpp"

namespace pregate::cli {

namespace {

/// "TP 4", "TP 2 x PP 2 + EP", "DP 4 + EP".
std::string in_short(const sim::ParallelSpec& over) {
  std::string text;
  const auto add = [&](const char* name, int count) {
    if (count > 1) text += (text.empty() ? "" : " x ") + std::string(name) + " " + std::to_string(count);
  };
  add("DP", over.data);
  add("TP", over.tensor);
  add("PP", over.pipeline);
  return text + (over.spreads_experts() ? " + EP" : "");
}

Way served(const std::string& name, const char* software, CommandOf command, const sim::ParallelSpec& over) {
  return {name + ", " + in_short(over), "gpu-only", software, {}, command, over};
}

}  // namespace

std::vector<Way> ways_over_gpus(const WaysAsked& asked, bool is_wide) {
  std::vector<Way> all;
  const int gpus = asked.gpus;
  const std::string over = " over " + std::to_string(gpus) + " GPUs";
  const auto gguf = [&](const std::string& label, const char* policy, CommandOf command) {
    all.push_back({label, policy, "llama-cpp", {}, command, {.pipeline = gpus}});
    if (is_wide) all.push_back({label, policy, "llama-cpp", usual_weights, command, {.pipeline = gpus}});
  };
  gguf("llama.cpp, layers" + over, "gpu-only", llama_cpp_on_gpu);
  gguf("llama.cpp -ncmoe, layers" + over, "llama-cpp-ncmoe", llama_cpp_beside_cpu);
  if (!asked.own_format) return all;  // what serves checkpoints serves their own format
  for (int tensor = gpus; tensor >= 1; --tensor) {
    if (gpus % tensor != 0) continue;
    sim::ParallelSpec split{.pipeline = gpus / tensor, .tensor = tensor};
    all.push_back(served("vLLM", "vllm", vllm, split));
    if (tensor == 1) continue;
    split.experts = sim::ExpertShare::whole;
    all.push_back(served("vLLM", "vllm", vllm, split));
  }
  if (asked.batch >= gpus)
    all.push_back(served("vLLM", "vllm", vllm, {.data = gpus, .experts = sim::ExpertShare::whole}));
  all.push_back(served("SGLang", "sglang", sglang, {.tensor = gpus}));
  all.push_back(served("SGLang", "sglang", sglang, {.tensor = gpus, .experts = sim::ExpertShare::whole}));
  return all;
}

StagesOfExperts stages_of_experts(const sim::ExpertMap& map, int layers, int on_gpus,
                                  const std::vector<Bytes>& memory) {
  const std::size_t stages = memory.size();
  if (std::max_element(memory.begin(), memory.end())->count > memory.front().count) {
    throw InputError("",
                     "the first GPU has less memory than another, and layers whose experts the CPU "
                     "computes are the first ones: name the machine with the larger GPU first");
  }
  double all = 0;
  for (const Bytes each : memory) all += static_cast<double>(each.count);
  // One to each, the others by memory: whole ones, then one more to those with the largest remainders.
  const int free = on_gpus - static_cast<int>(stages);
  std::vector<int> counts;
  std::vector<double> left;
  for (const Bytes each : memory) {
    const double share = free * (static_cast<double>(each.count) / all);
    counts.push_back(1 + static_cast<int>(share));
    left.push_back(share - static_cast<int>(share));
  }
  std::vector<std::size_t> order(stages);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return left[a] > left[b]; });
  const int dealt = std::accumulate(counts.begin(), counts.end(), 0);
  for (std::size_t i = 0; static_cast<int>(i) < on_gpus - dealt; ++i) ++counts[order[i % stages]];
  std::swap(counts.front(), *std::max_element(counts.begin(), counts.end()));
  StagesOfExperts found{{}, counts.front()};
  int end = layers;
  auto moe = static_cast<std::size_t>(map.layers().size());
  for (std::size_t stage = stages; stage-- > 1;) {
    moe -= static_cast<std::size_t>(counts[stage]);
    const int begin = map.layers()[moe].layer;
    found.layers.insert(found.layers.begin(), end - begin);
    end = begin;
  }
  found.layers.insert(found.layers.begin(), end);
  return found;
}

}  // namespace pregate::cli
