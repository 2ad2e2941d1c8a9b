// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines {"t":0,"layer":0,"experts":[3,1]}, one a token and layer, with "weights" where they were
// recorded: what a hook in a router writes when it writes only what it must.
#include "traces/import/record_start.hpp"
#include "traces/import/token_layer_lines.hpp"

namespace pregate::trace {

bool is_t_layer_experts(std::string_view start) {
  return RecordStart(start).has_all({"t", "layer", "experts"});
}

void parse_t_layer_experts(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink) {
  parse_token_layer_lines(inputs,
                          {.token = "t", .layer = "layer", .experts = "experts", .weights = "weights"},
                          OrderedRecords::Tokens::absolute, facts, sink);
}

}  // namespace pregate::trace
