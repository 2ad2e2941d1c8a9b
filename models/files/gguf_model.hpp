// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/files/gguf.hpp"
#include "models/model.hpp"

namespace pregate {

/// The model that a .gguf holds: kinds and sizes of its layers from the tensors that there are and the
/// metadata, bytes as they lie in the file, by layer and by expert. `name` is what it is called in results.
/// InputError naming the key or the tensor when something that costs cannot be known.
ModelSpec model_of(const GgufFile& file, const std::string& name);

}  // namespace pregate
