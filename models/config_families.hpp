// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "models/model.hpp"
#include "models/table_reader.hpp"

namespace pregate {

/// One family of Hugging Face models: reads what its config.json says of dimensions, layers and experts.
/// Weight formats are not its business.
struct ConfigFamily {
  const char* model_type;  ///< as the file names it
  void (*read)(TableReader&, ModelSpec&);
};

std::span<const ConfigFamily> config_families();

}  // namespace pregate
