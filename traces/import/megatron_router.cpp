// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines of Megatron-core's router tracer (router_trace_rankN.jsonl): one record a step, block and layer,
// {"step","stage","block","layer","rank","num_tokens","topk","top_indices":[[ids],...]}. Records of the block
// "mtp" are multi-token prediction, which is not simulated. A training step may run a layer several times
// (micro-batches): each is a pass. Hidden states and logits lie in other files and are not needed.
#include <filesystem>

#include "models/error.hpp"
#include "traces/import/json_record.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/row_batches.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

struct Scan {
  std::int64_t mtp_records = 0;
  std::vector<std::string> unread;

  void operator()(const std::string& path, PassBuilder& builder, const std::function<void()>& end_of_pass) {
    mtp_records = 0;
    LineReader lines(path);
    const int stack = builder.stack("decoder");
    std::string_view line;
    std::vector<std::uint16_t> ids;
    std::int64_t last_step = -1;
    std::vector<bool> seen(static_cast<std::size_t>(max_layers), false);
    const auto end = [&] {
      if (!builder.empty()) end_of_pass();
      seen.assign(seen.size(), false);
    };
    while (lines.next(line)) {
      if (line.empty()) continue;
      const Json object = parse_json_line(line, lines);
      Fields fields(object, lines, "the record ");
      const std::int64_t step = fields.integer("step", 0, std::int64_t{1} << 53);
      const auto layer = static_cast<std::size_t>(fields.integer("layer", 0, max_layers - 1));
      fields.integer_or("rank", 0, 1 << 30, 0);
      const std::int64_t rows = fields.integer("num_tokens", 0, max_step_tokens);
      const std::int64_t top_k = fields.integer("topk", 1, max_top_k);
      for (const char* known :
           {"hs_offset", "hs_bytes", "hs_shape", "logit_offset", "logit_bytes", "logit_shape", "mtp_idx"})
        fields.take(known);
      const std::string stage = fields.text_or_empty("stage"), block = fields.text_or_empty("block");
      if (!stage.empty() && stage != "pre_dispatch")
        fields.fail("is of stage '" + printable(stage, 40) + "'", "pre_dispatch is what a router chose");
      const Json& lists = fields.require("top_indices");
      if (!lists.is_array() || static_cast<std::int64_t>(lists.size()) != rows)
        fields.fail("has 'top_indices' that are not a list of " + std::to_string(rows) + " tokens");
      fields.leave(unread);
      if (block == "mtp") {
        ++mtp_records;
        continue;
      }
      if (!block.empty() && block != "decoder")
        fields.fail("is of block '" + printable(block, 40) + "'", "decoder or mtp");
      if (step < last_step)
        fields.fail("is of step " + std::to_string(step) + ", after step " + std::to_string(last_step),
                    "records are out of order");
      if (step != last_step || seen[layer]) end();
      last_step = step;
      seen[layer] = true;
      if (!builder.empty() && builder.tokens() != rows)
        fields.fail("has " + std::to_string(rows) + " tokens, but the layers before have " +
                    std::to_string(builder.tokens()));
      std::int64_t row = 0;
      for (const Json& list : lists) {
        fields.experts(list, "top_indices", ids);
        if (static_cast<std::int64_t>(ids.size()) != top_k)
          fields.fail("has a token of " + std::to_string(ids.size()) + " experts, not " +
                      std::to_string(top_k));
        builder.add({.stack = stack, .layer = static_cast<int>(layer), .token = row++, .ids = ids},
                    lines.where());
      }
    }
    end();
  }
};

}  // namespace

bool is_megatron_router(std::string_view start) {
  const RecordStart record(start);
  return record.has_all({"step", "layer", "num_tokens", "topk"}) &&
         (record.has("top_indices") || record.has("rank"));
}

void parse_megatron_router(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink) {
  Scan scan;
  PassBuilder builder(facts, sink);
  std::int64_t mtp_records = 0;
  for (const std::string& input : inputs) {
    read_row_batches([&](PassBuilder& to, const std::function<void()>& end) { scan(input, to, end); },
                     builder, facts, sink, std::filesystem::path(input).stem().string(), Dummies::keep);
    mtp_records += scan.mtp_records;
  }
  if (mtp_records > 0)
    facts.notes.push_back(std::to_string(mtp_records) +
                          " records of multi-token prediction layers were left out");
  if (inputs.size() > 1) facts.notes.emplace_back("each rank's file is a request of its own");
  note_unread(scan.unread, facts);
}

}  // namespace pregate::trace
