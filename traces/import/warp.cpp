// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines of the warp engine: {"tok":n,"layers":[[ids],...]}, one a decoded token, ids sorted, every layer
// of the model in order; a layer without MoE has an empty list. Where tok starts over, another request
// begins.
#include "models/error.hpp"
#include "traces/import/json_record.hpp"
#include "traces/import/pass_builder.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

/// Reads a file; the builder gathers the layers of one token.
void read_file(const std::string& path, PassBuilder& builder, RecordingSink& sink,
               std::vector<std::string>& unread) {
  LineReader lines(path);
  const int stack = builder.stack("decoder");
  std::string_view line;
  std::vector<std::uint16_t> ids;
  std::int64_t last = -1, start = -1, requests = 0;
  std::size_t layers = 0;
  while (lines.next(line)) {
    if (line.empty()) continue;
    const Json object = parse_json_line(line, lines);
    Fields fields(object, lines, "the record ");
    const std::int64_t token = fields.integer("tok", 0, 1'000'000'000);
    const Json& lists = fields.require("layers");
    if (!lists.is_array() || lists.empty() || lists.size() > static_cast<std::size_t>(max_layers))
      fields.fail("has 'layers' that are not a list of 1 to " + std::to_string(max_layers));
    fields.leave(unread);
    if (layers == 0) layers = lists.size();
    if (lists.size() != layers)
      fields.fail("has " + std::to_string(lists.size()) + " layers, the records before " +
                  std::to_string(layers));
    if (start < 0 || (token <= last && token <= start)) {
      sink.begin_request("request " + std::to_string(requests++), 1);
      start = token;
    } else if (token != last + 1) {
      fields.fail("is of token " + std::to_string(token) + ", after token " + std::to_string(last),
                  "records are missing or out of order");
    }
    last = token;
    for (std::size_t l = 0; l < lists.size(); ++l) {
      fields.experts(lists[l], "layers", ids);
      builder.add({.stack = stack, .layer = static_cast<int>(l), .token = token, .ids = ids}, lines.where());
    }
    builder.emit({.phase = Phase::decode, .sequences = 1, .position = token});
  }
}

}  // namespace

bool is_warp(std::string_view start) { return RecordStart(start).has_all({"tok", "layers"}); }

void parse_warp(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  std::vector<std::string> unread;
  PassBuilder builder(facts, sink);
  for (const std::string& input : inputs) read_file(input, builder, sink, unread);
  facts.notes.emplace_back("the recording holds decoded tokens only: no prefill is simulated");
  facts.notes.emplace_back("ids are sorted within a token: their order is not the router's");
  note_unread(unread, facts);
}

}  // namespace pregate::trace
