// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/advise/commands.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace pregate::cli {

namespace {

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

/// llama.cpp deals out the layers and, as one more, the head: place i of all goes to the first GPU that has,
/// with those before it, more than the share i / places of what -ts says (llama_model::load_tensors).
std::string split_mode(const CommandFacts& facts) {
  if (facts.gpus == 1) return {};
  if (facts.parallel.gpus() == 1) return "-sm none ";
  std::string shares;
  for (std::size_t i = 0; i < facts.stages.size(); ++i) {
    const bool has_head = i + 1 == facts.stages.size();
    shares += (i == 0 ? "" : ",") + std::to_string(facts.stages[i] + (has_head ? 1 : 0));
  }
  return "-sm layer -ts " + shares + " ";
}

std::string llama_cpp(const CommandFacts& facts, const std::string& placement) {
  return "llama-server -m " + gguf_of(facts) + " -ngl 99 " + placement + split_mode(facts) + "-fa on -c " +
         std::to_string(facts.context * facts.batch) +
         (facts.batch > 1 ? " -np " + std::to_string(facts.batch) : "");
}

/// An option of a program and its number, where that is more than one.
std::string several(const char* option, int count) {
  return count > 1 ? " --" + std::string(option) + " " + std::to_string(count) : "";
}

}  // namespace

std::string llama_cpp_on_gpu(const CommandFacts& facts) { return llama_cpp(facts, ""); }
std::string llama_cpp_beside_cpu(const CommandFacts& facts) {
  return llama_cpp(facts, "--n-cpu-moe " + std::to_string(facts.cpu_layers) + " ");
}
std::string llama_cpp_mapped(const CommandFacts& facts) { return llama_cpp(facts, "--cpu-moe "); }

std::string vllm(const CommandFacts& facts) {
  const sim::ParallelSpec& over = facts.parallel;
  return "vllm serve " + quoted(facts.model) + several("tensor-parallel-size", over.tensor) +
         several("pipeline-parallel-size", over.pipeline) + several("data-parallel-size", over.data) +
         (over.spreads_experts() ? " --enable-expert-parallel" : "") + " --max-model-len " +
         std::to_string(facts.context) +
         (facts.batch > 1 ? " --max-num-seqs " + std::to_string((facts.batch + over.data - 1) / over.data)
                          : "");
}

std::string sglang(const CommandFacts& facts) {
  const sim::ParallelSpec& over = facts.parallel;
  return "python -m sglang.launch_server --model-path " + quoted(facts.model) +
         several("tp-size", over.tensor) +
         (over.spreads_experts() ? several("ep-size", over.gpus_a_stage()) : "") + " --context-length " +
         std::to_string(facts.context) +
         (facts.batch > 1 ? " --max-running-requests " + std::to_string(facts.batch) : "");
}

std::string ktransformers(const CommandFacts& facts) {
  return "python -m ktransformers.local_chat --model_path " + quoted(facts.model) + " --gguf_path " +
         quoted(facts.model + "-" + facts.format) + " --cpu_infer " +
         std::to_string(std::max(1, facts.cores - 1));
}

}  // namespace pregate::cli
