// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/advise/commands.hpp"
#include "cli/advise/setting.hpp"
#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::cli {

namespace {

/// Above these bits a parameter people mostly run a narrower format.
constexpr double widest_usual_bits = 5;

}  // namespace

std::vector<Way> ways(const ModelSpec& model, const WaysAsked& asked) {
  std::vector<Way> all;
  const bool is_wide = asked.own_format && model.expert_format.bits_per_parameter > widest_usual_bits;
  const std::string on_one = asked.gpus > 1 ? ", one of the GPUs" : "";
  const auto gguf = [&](const char* label, const char* policy, const char* software, CommandOf command) {
    all.push_back({label + on_one, policy, software, {}, command});
    if (is_wide) all.push_back({label + on_one, policy, software, usual_weights, command});
  };
  if (model.stacks.size() == 1) {
    gguf("llama.cpp, all on the GPU", "gpu-only", "llama-cpp", llama_cpp_on_gpu);
    if (asked.own_format) all.push_back({"vLLM" + on_one, "gpu-only", "vllm", {}, vllm});
    gguf("llama.cpp -ncmoe", "llama-cpp-ncmoe", "llama-cpp", llama_cpp_beside_cpu);
    gguf("llama.cpp, read from the drive", "llama-cpp-mmap", "llama-cpp", llama_cpp_mapped);
    gguf("KTransformers", "experts-on-cpu", "ktransformers", ktransformers);
    if (asked.gpus > 1)
      for (Way& way : ways_over_gpus(asked, is_wide)) all.push_back(std::move(way));
  }
  for (const std::string& name : policy_names()) {
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const Way& way) { return way.policy == name; });
    if (known) continue;
    const PolicySpec policy = load_policy(name);
    // What spreads itself over GPUs does it in one way, which may not be this machine's.
    if (policy.parallel.kind == Node::Kind::table) continue;
    const std::string over = asked.gpus > 1 ? " over " + std::to_string(asked.gpus) + " GPUs" : "";
    all.push_back({name + over, name, policy.software, {}, nullptr, {.pipeline = asked.gpus}});
  }
  return all;
}

}  // namespace pregate::cli
