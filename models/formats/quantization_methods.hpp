// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/formats/checkpoint_formats.hpp"
#include "models/table_reader.hpp"

namespace pregate {

/// Reads a quantization_config into `formats`; `wide` is known. InputError for a quant_method, or a value of
/// one, that is not known.
void read_quantization_config(TableReader& config, CheckpointFormats& formats);

/// Reads the `quantization` of an hf_quant_config.json, or a quantization_config of modelopt.
void read_modelopt(TableReader& config, CheckpointFormats& formats);

/// The strings of the list under `key` of `config` become patterns; absent: none.
void add_patterns(TableReader& config, const char* key, ModulePatterns& patterns);

}  // namespace pregate
