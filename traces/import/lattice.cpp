// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines of lattice's MoE routing trace: {"layer_idx","token_idx","selected_ids","gate_weights"}, one a
// token and layer, in the order in which the routers ran. token_idx counts within a call.
#include "traces/import/record_start.hpp"
#include "traces/import/token_layer_lines.hpp"

namespace pregate::trace {

bool is_lattice(std::string_view start) {
  return RecordStart(start).has_all({"layer_idx", "token_idx", "selected_ids"});
}

void parse_lattice(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  parse_token_layer_lines(
      inputs,
      {.token = "token_idx", .layer = "layer_idx", .experts = "selected_ids", .weights = "gate_weights"},
      OrderedRecords::Tokens::in_call, facts, sink);
}

}  // namespace pregate::trace
