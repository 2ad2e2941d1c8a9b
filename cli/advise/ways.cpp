// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/advise/setting.hpp"
#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::cli {

namespace {

constexpr const char* usual_weights = "q4_k_m";

std::string llama_cpp(const CommandFacts& facts, const std::string& placement) {
  return "llama-server -m " + facts.model + "-" + facts.format + ".gguf -ngl 99 " + placement + "-fa on -c " +
         std::to_string(facts.context);
}
std::string llama_cpp_on_gpu(const CommandFacts& facts) { return llama_cpp(facts, ""); }
std::string llama_cpp_beside_cpu(const CommandFacts& facts) {
  return llama_cpp(facts, "--n-cpu-moe " + std::to_string(facts.cpu_layers) + " ");
}
std::string vllm(const CommandFacts& facts) {
  return "vllm serve " + facts.model + " --max-model-len " + std::to_string(facts.context);
}
std::string ktransformers(const CommandFacts& facts) {
  return "python -m ktransformers.local_chat --model_path " + facts.model + " --gguf_path " + facts.model +
         "-" + facts.format + " --cpu_infer " + std::to_string(std::max(1, facts.cores - 1));
}

}  // namespace

std::vector<Way> ways(bool wide_weights) {
  std::vector<Way> all;
  const auto gguf = [&](const char* label, const char* policy, const char* software,
                        std::string (*command)(const CommandFacts&)) {
    all.push_back({label, policy, software, {}, command});
    if (wide_weights) all.push_back({label, policy, software, usual_weights, command});
  };
  gguf("llama.cpp, all on the GPU", "gpu-only", "llama-cpp", llama_cpp_on_gpu);
  all.push_back({"vLLM", "gpu-only", "vllm", {}, vllm});
  gguf("llama.cpp -ncmoe", "llama-cpp-ncmoe", "llama-cpp", llama_cpp_beside_cpu);
  gguf("KTransformers", "experts-on-cpu", "ktransformers", ktransformers);
  for (const std::string& name : policy_names()) {
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const Way& way) { return way.policy == name; });
    if (!known) all.push_back({name, name, load_policy(name).software, {}, nullptr});
  }
  return all;
}

}  // namespace pregate::cli
