// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"

namespace pregate::validation {

/// What each of `gpus` GPUs computes under tensor parallelism: its part of the heads, of the width of every
/// feed-forward and of the vocabulary, all layers and all experts. InputError for a model whose mixers are
/// not all grouped-query attention, whose sizes come from a file, or which does not divide.
ModelSpec share_of(const ModelSpec& model, int gpus);

}  // namespace pregate::validation
