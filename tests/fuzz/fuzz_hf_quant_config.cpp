// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "models/error.hpp"
#include "models/formats/checkpoint_formats.hpp"

/// The bytes are an hf_quant_config.json, or a config.json whose quantization_config is read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    const std::string text(bytes, bytes + size);
    const pregate::Node file = pregate::parse_json_document(text, "hf_quant_config.json");
    const pregate::Node plain = pregate::parse_json_document(R"({"dtype":"bfloat16"})", "config.json");
    const bool is_config = file.find("quantization_config") != nullptr;
    const pregate::CheckpointFormats formats = is_config ? pregate::read_checkpoint_formats(file, nullptr)
                                                         : pregate::read_checkpoint_formats(plain, &file);
    const std::string names[] = {"layers.3.self_attn.q_proj", "layers.3.mlp.experts.0.down_proj"};
    if (formats.wide && formats.of(names).bits_per_parameter <= 0) std::abort();
  } catch (const pregate::InputError&) {
  }
  return 0;
}
