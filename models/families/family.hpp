// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "models/model.hpp"
#include "models/table_reader.hpp"

namespace pregate::families {

/// One family of Hugging Face models: reads what its config.json says of dimensions, layers and experts.
/// Field names, and the defaults of fields that files of a family really leave out, are those of the
/// configuration classes (src/transformers/models/<family>/configuration_*.py, or the class that the
/// checkpoint ships). Weight formats are not its business.
///
/// Nothing that costs is ignored: a key that the reader did not ask for, that is not switched off (null,
/// false, 0, empty) and that is neither free everywhere (free_keys.cpp) nor in `free` refuses the file.
struct Family {
  std::vector<std::string_view> model_types;  ///< as files name it, inner types of wrappers included
  void (*read)(TableReader& config, ModelSpec& model);
  std::vector<std::string_view> free;  ///< keys of this family that cost neither bytes nor arithmetic
};

/// The families, one function a file; registry.cpp lists them.
const std::vector<Family>& all();
/// nullptr when no family has this type.
const Family* find(std::string_view model_type);
std::vector<std::string> model_types();

/// Whether the key is of no consequence in any family: tokens, dropout, initialisation, positions, training.
bool is_free(std::string_view key);

Family switch_transformers();
Family nllb_moe();
Family mixtral();
Family qwen_moe();
Family deepseek();
Family deepseek_v4();
Family glm4_moe();
Family glm_moe_dsa();
Family kimi_linear();
Family llama4();
Family minimax();
Family qwen_next();
Family qwen4_exp();
Family olmoe();
Family phimoe();
Family gpt_oss();
Family gemma4();
Family nemotron_h();
Family granite_moe();
Family granite_moe_swa();
Family granite_moe_hybrid();
Family hunyuan_moe();
Family ernie4_5_moe();
Family dbrx();
Family mimo_v2();
Family laguna();
Family step3();
Family step3p5();
Family bailing_moe();
Family dots1();
Family arctic();
Family afmoe();
Family lfm2_moe();
Family jamba();
Family smallthinker();

}  // namespace pregate::families
