// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "models/formats/checkpoint_formats.hpp"
#include "models/model.hpp"

namespace pregate {

/// The routed experts, and nothing else, in the format or file mixture `name` (by layer, where the mixture
/// differs by layer). Sizes read from a file give way. InputError at `where` for a name that is not known.
void store_experts_as(ModelSpec& model, const std::string& name, const std::string& where);

/// Everything but the routed experts and the cache.
void store_rest_as(ModelSpec& model, const std::string& name, const std::string& where);

/// The routers of the MoE layers alone.
void store_routers_as(ModelSpec& model, const WeightFormat& format);

/// What --weights and --dense-weights say; empty changes nothing.
void choose_formats(ModelSpec& model, const std::string& weights, const std::string& dense_weights);

/// All of it as a checkpoint says; `formats.wide` is known.
void store_as_checkpoint(ModelSpec& model, const CheckpointFormats& formats);

}  // namespace pregate
