// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "traces/import/recording.hpp"

namespace pregate::fuzz {

/// Runs a parser of recordings over these bytes as its one input and checks all that it hands over: shapes,
/// ids and weights. A refusal (InputError) is an answer; any other exception, and a step that is not sound,
/// ends the process. `known` is what the user says of the model. Returns what LLVMFuzzerTestOneInput returns.
int parse_recording(const trace::Parser& parser, const std::uint8_t* bytes, std::size_t size,
                    const trace::ImportOptions& known = {});

}  // namespace pregate::fuzz
