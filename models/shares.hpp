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

/// As tensor_share(), with whole experts in `groups` of the GPUs (which they divide): each GPU has 1/groups
/// of the experts, in as many parts of their columns as a group has GPUs, and of a token's experts 1/groups.
/// That is what a GPU has on average; the one with the most decides how long a layer takes, and routing that
/// was recorded names experts that are elsewhere. For estimates of one GPU alone; what each of several does
/// is simulated (docs/several-gpus.md). InputError as there, and for experts that do not divide.
ModelSpec mean_expert_share(const ModelSpec& model, int gpus, int groups);

/// Layers [first, end) of a model of one stack. Of the tables, the embedding goes with the first layer, the
/// output projection with the last; in between there is no vocabulary. InputError for a model of two stacks.
ModelSpec layer_share(const ModelSpec& model, int first, int end);

}  // namespace pregate
