// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/document.hpp"
#include "models/formats/module_patterns.hpp"
#include "models/model.hpp"

namespace pregate {

/// In which formats a checkpoint stores its weights, by module and layer: what config.json says in
/// torch_dtype or dtype and in quantization_config, and the hf_quant_config.json beside it.
class CheckpointFormats {
 public:
  /// Some matrices of the checkpoint in one format.
  struct Scheme {
    WeightFormat format;
    bool all_linear = true;  ///< every matrix that `wide_modules` does not list
    ModulePatterns targets;  ///< otherwise these
  };

  /// Of what is not quantised: norms, routers, embeddings, what the lists leave out. Empty: the file does not
  /// say.
  std::optional<WeightFormat> wide;
  std::vector<Scheme> schemes;  ///< the first that covers a module holds
  ModulePatterns wide_modules;
  std::optional<WeightFormat>
      experts;  ///< of all routed experts, whatever schemes say (gpt-oss, DeepSeek-V4)
  bool head_quantized = false;
  WeightFormat kv;                 ///< without bits: as `wide`
  std::vector<std::string> notes;  ///< what was assumed

  /// Of the matrix that the code of some family calls by one of `names`, from the layers on
  /// ("layers.3.self_attn.q_proj"). `wide` must be known.
  [[nodiscard]] const WeightFormat& of(std::span<const std::string> names) const;
};

/// `root` is the config.json (of its nested text_config, too, what says formats is read); `beside` the
/// hf_quant_config.json, or nullptr. InputError for a method or value that is not known.
CheckpointFormats read_checkpoint_formats(const Node& root, const Node* beside);

/// The keys of config.json that this reads.
std::span<const std::string_view> checkpoint_format_keys();

}  // namespace pregate
