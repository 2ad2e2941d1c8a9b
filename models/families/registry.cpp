// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/families/family.hpp"

namespace pregate::families {

const std::vector<Family>& all() {
  static const std::vector<Family> families = {
      switch_transformers(),
      nllb_moe(),
      mixtral(),
      qwen_moe(),
      qwen_next(),
      qwen4_exp(),
      deepseek(),
      deepseek_v4(),
      glm4_moe(),
      glm_moe_dsa(),
      kimi_linear(),
      minimax(),
      llama4(),
      olmoe(),
      phimoe(),
      gpt_oss(),
      gemma4(),
      nemotron_h(),
      granite_moe(),
      granite_moe_swa(),
      granite_moe_hybrid(),
      hunyuan_moe(),
      ernie4_5_moe(),
      dbrx(),
      mimo_v2(),
      laguna(),
      step3(),
      step3p5(),
      bailing_moe(),
      dots1(),
      arctic(),
      afmoe(),
      lfm2_moe(),
      jamba(),
      smallthinker(),
  };
  return families;
}

const Family* find(std::string_view model_type) {
  for (const Family& family : all()) {
    const auto& types = family.model_types;
    if (std::find(types.begin(), types.end(), model_type) != types.end()) return &family;
  }
  return nullptr;
}

std::vector<std::string> model_types() {
  std::vector<std::string> types;
  for (const Family& family : all())
    types.insert(types.end(), family.model_types.begin(), family.model_types.end());
  return types;
}

}  // namespace pregate::families
