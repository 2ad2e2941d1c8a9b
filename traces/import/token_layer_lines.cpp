// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/token_layer_lines.hpp"

#include "traces/import/json_record.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

void parse_token_layer_lines(const std::vector<std::string>& inputs, const TokenLayerKeys& keys,
                             OrderedRecords::Tokens tokens, RecordingFacts& facts, RecordingSink& sink) {
  std::vector<std::string> unread;
  OrderedRecords records(facts, sink, tokens, "request");
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
      const std::int64_t token = fields.integer(keys.token, 0, 1'000'000'000);
      const auto layer = static_cast<int>(fields.integer(keys.layer, 0, max_layers - 1));
      fields.experts(fields.require(keys.experts), keys.experts, ids);
      weights.clear();
      if (const Json* list = fields.take(keys.weights)) {
        fields.weights(*list, keys.weights, ids.size(), weights);
      }
      fields.leave(unread);
      records.add({.stack = stack, .layer = layer, .token = token, .ids = ids, .weights = weights},
                  lines.where());
    }
    records.finish();
  }
  if (const std::string missing = records.builder().missing_note(); !missing.empty()) {
    facts.notes.push_back(missing);
  }
  note_unread(unread, facts);
}

}  // namespace pregate::trace
