// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "traces/import/pass_builder.hpp"

namespace pregate::trace {

/// The form `layer,expert` of llama.cpp's moe-trace, which names neither tokens nor passes: within a pass the
/// rows go layer by layer, token by token, rank by rank; a pass ends where the layer goes back. How many rows
/// are one token is the model's top-k where the caller knows it, else the fewest rows of a layer in any pass,
/// which is one token as soon as one token was decoded. A file is one request.
void read_layer_expert(const std::string& path, PassBuilder& builder, RecordingFacts& facts,
                       RecordingSink& sink);

}  // namespace pregate::trace
