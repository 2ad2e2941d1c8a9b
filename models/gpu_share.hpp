// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"

namespace pregate {

/// How GPUs share every layer of a model.
struct LayerSharing {
  int gpus = 1;    ///< tensor parallel: parts of the heads, of feed-forwards' width, of the vocabulary
  int expert = 1;  ///< groups of them, each with whole experts of its own (expert parallel); divides `gpus`
};

/// What each GPU computes: its part of the heads, of the width of every feed-forward and of the vocabulary
/// (rounded up), all layers, and 1/expert of the experts in gpus/expert parts of their width. Where GPUs are
/// more than key heads each has one, several GPUs the same; what all heads share (latents, indexers) every
/// GPU has whole.
///
/// With `expert` a token has top_k / expert of a GPU's experts: what it has on average, alike for all, while
/// the GPU with the most decides how long a layer takes. Routing is then to be drawn anew: a recorded one
/// names experts that are elsewhere. Norms and the router's columns of other GPUs' experts are small and not
/// told apart.
///
/// InputError for a model whose sizes come from a file or which does not divide.
ModelSpec share_of(const ModelSpec& model, const LayerSharing& sharing);

}  // namespace pregate
