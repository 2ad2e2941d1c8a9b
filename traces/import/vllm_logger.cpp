// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines of the vLLM MoE logger: a record {"type":"meta",...}, then one {"type":"route"} a row of a pass
// and logged layer. token_idx is the row's place in its pass, so that it starts over with every pass; which
// request a row is of is not logged. The engine's profiling and warm-up passes are logged like any other.
#include <filesystem>

#include "models/error.hpp"
#include "traces/import/json_record.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/row_batches.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

class Logger {
 public:
  Logger(const std::string& path, RecordingFacts& facts, std::vector<std::string>& unread)
      : path_(path), facts_(facts), unread_(unread) {}

  void scan(PassBuilder& builder, const std::function<void()>& end_of_pass) {
    LineReader lines(path_);
    const int stack = builder.stack("decoder");
    std::string_view line;
    std::string request;
    std::vector<std::uint16_t> ids;
    std::vector<float> weights;
    std::int64_t last_row = -1;
    const auto end = [&] {
      if (!builder.empty()) end_of_pass();
      last_row = -1;
    };
    while (lines.next(line)) {
      if (line.empty()) continue;
      const Json object = parse_json_line(line, lines);
      Fields fields(object, lines, "the record ");
      const std::string type = fields.text_or_empty("type");
      if (type == "meta") {
        end();  // the logger appends to a file: another run begins
        read_meta(fields);
        continue;
      }
      if (type != "route")
        fields.fail("has type '" + printable(type, 40) + "'", "the logger writes meta and route");
      const std::int64_t row = fields.integer("token_idx", 0, max_step_tokens - 1);
      const auto layer = static_cast<int>(fields.integer("layer", 0, max_layers - 1));
      const std::string of = fields.text_or_empty("req_id");
      fields.experts(fields.require("topk_ids"), "topk_ids", ids);
      weights.clear();
      if (const Json* list = fields.take("topk_weights"))
        fields.weights(*list, "topk_weights", ids.size(), weights);
      fields.leave(unread_);
      const bool over = !builder.empty() && (of != request || layer < builder.last_layer() ||
                                             (layer == builder.last_layer() && row <= last_row));
      if (over) end();
      request = of;
      last_row = row;
      builder.add({.stack = stack, .layer = layer, .token = row, .ids = ids, .weights = weights},
                  lines.where());
    }
    end();
  }

 private:
  void read_meta(Fields& fields) {
    std::string model = fields.text_or_empty("model_id");
    if (!model.empty() && !facts_.model.empty() && model != facts_.model)
      fields.fail("is of model '" + printable(model) + "', the records before of '" +
                  printable(facts_.model) + "'");
    if (!model.empty()) facts_.model = std::move(model);
  }

  const std::string& path_;
  RecordingFacts& facts_;
  std::vector<std::string>& unread_;
};

}  // namespace

bool is_vllm_logger(std::string_view start) {
  const RecordStart record(start);
  return (record.text("type") == "meta" && record.has("layers_logged")) ||
         (record.text("type") == "route" && record.has_all({"token_idx", "topk_ids"}));
}

void parse_vllm_logger(const std::vector<std::string>& inputs, RecordingFacts& facts, RecordingSink& sink) {
  std::vector<std::string> unread;
  PassBuilder builder(facts, sink);
  for (const std::string& input : inputs) {
    Logger logger(input, facts, unread);
    read_row_batches([&](PassBuilder& to, const std::function<void()>& end) { logger.scan(to, end); },
                     builder, facts, sink, std::filesystem::path(input).filename().string(), Dummies::drop);
  }
  note_unread(unread, facts);
}

}  // namespace pregate::trace
