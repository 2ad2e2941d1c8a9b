// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines of lattice's MoE routing trace: {"layer_idx","token_idx","selected_ids","gate_weights"}, one a
// token and layer, in the order in which the routers ran. token_idx counts within a call.
#include "traces/import/json_record.hpp"
#include "traces/import/ordered_records.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

bool is_lattice(std::string_view start) {
  return RecordStart(start).has_all({"layer_idx", "token_idx", "selected_ids"});
}

void parse_lattice(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  std::vector<std::string> unread;
  OrderedRecords records(facts, sink, OrderedRecords::Tokens::in_call, "request");
  const int stack = records.builder().stack("decoder");
  std::vector<std::uint16_t> ids;
  std::vector<float> weights;
  for (const std::string& input : inputs) {
    LineReader lines(input);
    std::string_view line;
    while (lines.next(line)) {
      if (line.empty()) continue;
      const Json object = parse_json_line(line, lines);
      Fields fields(object, lines, "the record ");
      const std::int64_t token = fields.integer("token_idx", 0, 1'000'000'000);
      const auto layer = static_cast<int>(fields.integer("layer_idx", 0, max_layers - 1));
      fields.experts(fields.require("selected_ids"), "selected_ids", ids);
      weights.clear();
      if (const Json* list = fields.take("gate_weights"))
        fields.weights(*list, "gate_weights", ids.size(), weights);
      fields.leave(unread);
      records.add({.stack = stack, .layer = layer, .token = token, .ids = ids, .weights = weights},
                  lines.where());
    }
    records.finish();
  }
  if (const std::string missing = records.builder().missing_note(); !missing.empty())
    facts.notes.push_back(missing);
  note_unread(unread, facts);
}

}  // namespace pregate::trace
