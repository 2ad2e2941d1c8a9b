// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// vLLM's routed_experts (CompletionOutput.routed_experts, RequestOutput.prompt_routed_experts), saved by
// numpy.save: whole numbers [tokens, layers, experts a token]. A file is one sequence.
#include <filesystem>

#include "models/error.hpp"
#include "traces/import/byte_input.hpp"
#include "traces/import/npy_array.hpp"
#include "traces/import/routed_npy.hpp"

namespace pregate::trace {

RoutedTokens routed_of(const NpyArray& array, const std::string& where) {
  const std::vector<std::int64_t>& shape = array.shape();
  std::string sizes;
  for (const std::int64_t size : shape) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  if (shape.size() != 3 || array.size() == 0 || shape[1] > max_layers || shape[2] > max_top_k)
    throw InputError(where, "has the shape (" + sizes + "), not (tokens, layers, experts a token)",
                     "at most " + std::to_string(max_layers) + " layers and " + std::to_string(max_top_k) +
                         " experts a token; docs/recording.md says how vLLM's routed_experts are saved");
  RoutedTokens routed{.tokens = shape[0],
                      .layers = static_cast<int>(shape[1]),
                      .width = static_cast<int>(shape[2]),
                      .ids = {}};
  routed.ids.reserve(static_cast<std::size_t>(array.size()));
  for (std::int64_t i = 0; i < array.size(); ++i) {
    const std::int64_t value = array.at(i);
    if (value < -1 || value >= max_experts)
      routed_id(value, where + ": token " + std::to_string(i / (shape[1] * shape[2])));
    routed.ids.push_back(static_cast<std::uint16_t>(value));  // -1 becomes no_expert
  }
  return routed;
}

void parse_vllm_npy(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  SequenceWriter writer(facts, sink);
  for (const std::string& input : inputs) {
    const std::string bytes = read_bytes(input);
    const RoutedTokens routed = routed_of(NpyArray(bytes, input), input);
    writer.add(routed, decoder_layers(routed.layers, facts.known, input),
               {.label = std::filesystem::path(input).stem().string(), .where = input});
  }
  writer.finish();
}

bool is_vllm_npy(std::string_view start) { return start.starts_with(NpyArray::magic); }

}  // namespace pregate::trace
