// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <string_view>

#include "cli/advise/setting.hpp"
#include "models/catalog.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::cli {

namespace {

constexpr const char* usual_weights = "q4_k_m";
/// Above these bits a parameter people mostly run a narrower format.
constexpr double widest_usual_bits = 5;

/// As a shell takes it for one word.
std::string quoted(const std::string& text) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("._-/+").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (is_plain && !text.empty()) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string gguf_of(const CommandFacts& facts) {
  return quoted(facts.model.ends_with(".gguf") ? facts.model : facts.model + "-" + facts.format + ".gguf");
}

std::string llama_cpp(const CommandFacts& facts, const std::string& placement) {
  return "llama-server -m " + gguf_of(facts) + " -ngl 99 " + placement + "-fa on -c " +
         std::to_string(facts.context * facts.batch) +
         (facts.batch > 1 ? " -np " + std::to_string(facts.batch) : "");
}
std::string llama_cpp_on_gpu(const CommandFacts& facts) { return llama_cpp(facts, ""); }
std::string llama_cpp_beside_cpu(const CommandFacts& facts) {
  return llama_cpp(facts, "--n-cpu-moe " + std::to_string(facts.cpu_layers) + " ");
}
std::string llama_cpp_mapped(const CommandFacts& facts) { return llama_cpp(facts, "--cpu-moe "); }
std::string vllm(const CommandFacts& facts) {
  return "vllm serve " + quoted(facts.model) + " --max-model-len " + std::to_string(facts.context) +
         (facts.batch > 1 ? " --max-num-seqs " + std::to_string(facts.batch) : "");
}
std::string ktransformers(const CommandFacts& facts) {
  return "python -m ktransformers.local_chat --model_path " + quoted(facts.model) + " --gguf_path " +
         quoted(facts.model + "-" + facts.format) + " --cpu_infer " +
         std::to_string(std::max(1, facts.cores - 1));
}

}  // namespace

std::vector<Way> ways(const ModelSpec& model, bool own_format) {
  std::vector<Way> all;
  const bool is_wide = own_format && model.expert_format.bits_per_parameter > widest_usual_bits;
  const auto gguf = [&](const char* label, const char* policy, const char* software,
                        std::string (*command)(const CommandFacts&)) {
    all.push_back({label, policy, software, {}, command});
    if (is_wide) all.push_back({label, policy, software, usual_weights, command});
  };
  if (model.stacks.size() == 1) {
    gguf("llama.cpp, all on the GPU", "gpu-only", "llama-cpp", llama_cpp_on_gpu);
    if (own_format) all.push_back({"vLLM", "gpu-only", "vllm", {}, vllm});
    gguf("llama.cpp -ncmoe", "llama-cpp-ncmoe", "llama-cpp", llama_cpp_beside_cpu);
    gguf("llama.cpp, read from the drive", "llama-cpp-mmap", "llama-cpp", llama_cpp_mapped);
    gguf("KTransformers", "experts-on-cpu", "ktransformers", ktransformers);
  }
  for (const std::string& name : policy_names()) {
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const Way& way) { return way.policy == name; });
    if (known) continue;
    const PolicySpec policy = load_policy(name);
    // What is of several GPUs by itself is no way to use one.
    if (policy.parallel.kind == Node::Kind::table) continue;
    all.push_back({name, name, policy.software, {}, nullptr});
  }
  return all;
}

}  // namespace pregate::cli
