// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "models/model.hpp"
#include "runtime/shapes.hpp"

namespace pregate::runtime {

/// InputError, with the layer and what it has, where a layer mixes tokens in a way that Attention::kv_cache
/// does not execute.
void check_attention_over_cache(const ModelSpec& model);

/// Of a mixer that passed that check; none of a layer that mixes no tokens.
CachedAttention cached_attention(const Mixer& mixer);

}  // namespace pregate::runtime
