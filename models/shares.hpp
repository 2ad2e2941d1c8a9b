// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"

namespace pregate {

/// What each of `gpus` GPUs has of every layer under tensor parallelism: its part of the heads, of the
/// columns of every dense and shared feed-forward, of those of each expert where `splits_experts`, and of the
/// vocabulary (rounded up). Key heads that are fewer than GPUs are there several times; so is what heads
/// share: the latents of multi-head latent attention, a router, norms. InputError for a model whose heads or
/// columns do not divide, whose linear mixers share key heads unevenly, or whose sizes come from a file.
ModelSpec tensor_share(const ModelSpec& model, int gpus, bool splits_experts = true);

/// Layers [first, end) of a model of one stack. Of the tables, the embedding goes with the first layer, the
/// output projection with the last; in between there is no vocabulary. InputError for a model of two stacks.
ModelSpec layer_share(const ModelSpec& model, int first, int end);

}  // namespace pregate
