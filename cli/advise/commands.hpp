// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/advise/setting.hpp"

/// The command lines that run settings.
namespace pregate::cli {

using CommandOf = std::string (*)(const CommandFacts&);

/// llama-server; over several GPUs by layers (-sm layer), as many to each as were simulated (-ts).
std::string llama_cpp_on_gpu(const CommandFacts& facts);
std::string llama_cpp_beside_cpu(const CommandFacts& facts);
std::string llama_cpp_mapped(const CommandFacts& facts);
/// Tensor, pipeline, data and expert parallel as the facts say.
std::string vllm(const CommandFacts& facts);
std::string sglang(const CommandFacts& facts);
std::string ktransformers(const CommandFacts& facts);

}  // namespace pregate::cli
