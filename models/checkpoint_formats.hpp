// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/catalog.hpp"
#include "models/table_reader.hpp"

namespace pregate {

/// How the weights of a checkpoint are stored, from what its config.json says (torch_dtype or dtype,
/// quantization_config) and from what the user chose instead. Sets the formats of `model`. InputError when
/// nothing is said and nothing chosen.
void read_checkpoint_formats(TableReader& config, ModelSpec& model, const ModelOptions& options);

}  // namespace pregate
