// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/files/safetensors_header.hpp"
#include "models/model.hpp"

namespace pregate {

/// A folder as it is downloaded: config.json, and the headers of its .safetensors files where it has them.
struct CheckpointFolder {
  std::string path, config;           ///< of the folder; of its config.json
  std::vector<StoredTensor> tensors;  ///< of all files
  std::vector<std::string> files;
};

/// InputError when there is no config.json, and when a file that model.safetensors.index.json or the names of
/// the others promise is missing, or holds other tensors. No weights are read.
CheckpointFolder read_checkpoint_folder(const std::string& path);

/// Where the formats that lie beside a config.json are: hf_quant_config.json in the same folder, or, for
/// `name.json`, `name.hf_quant_config.json`.
std::optional<std::string> quantization_beside(const std::string& config);

/// The sizes of `model` become those of the tensors, by layer and by expert; what is of no layer of the text
/// model (images, multi-token prediction) is named in left_out. InputError naming the layer whose experts are
/// not there.
void store_as_files(ModelSpec& model, const CheckpointFolder& folder);

}  // namespace pregate
