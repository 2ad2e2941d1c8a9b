// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/families/family.hpp"

namespace pregate::families {

const std::vector<Family>& all() {
  static const std::vector<Family> families = {
      switch_transformers(), nllb_moe(), mixtral(), qwen_moe(), deepseek(), olmoe(), phimoe(), gpt_oss(),
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
