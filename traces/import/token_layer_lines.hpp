// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "traces/import/ordered_records.hpp"
#include "traces/import/recording.hpp"

namespace pregate::trace {

/// What recordings of one JSON line a token and layer, in the order in which the routers ran, call their
/// keys.
struct TokenLayerKeys {
  const char *token, *layer, *experts;
  const char* weights;  ///< may be missing in a line
};

/// Reads such lines, one decoder, one request an input. Keys of other names are noted as unread. Throws Error
/// with file and line.
void parse_token_layer_lines(const std::vector<std::string>& inputs, const TokenLayerKeys& keys,
                             OrderedRecords::Tokens tokens, RecordingFacts& facts, RecordingSink& sink);

}  // namespace pregate::trace
