// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// JSON lines of speculative-moe's collector: {"dataset","problem_id","layer","token_idx","experts",
// "gating_probs"}, one a generated token and layer, in any order within a problem. Records may be missing:
// they become places without an expert.
#include <algorithm>
#include <filesystem>

#include "models/error.hpp"
#include "traces/import/json_record.hpp"
#include "traces/import/pass_builder.hpp"
#include "traces/import/record_start.hpp"
#include "traces/import/text_input.hpp"

namespace pregate::trace {

namespace {

constexpr std::size_t most_records_of_a_problem = std::size_t{1} << 22;  ///< of one problem
constexpr std::int64_t few_tokens = 64;  ///< that may be missing from any problem

struct Record {
  std::int64_t token, line;
  int layer;
  std::vector<std::uint16_t> ids;
  std::vector<float> weights;
};

class Problems {
 public:
  Problems(RecordingFacts& facts, RecordingSink& sink) : builder_(facts, sink), sink_(sink) {
    stack_ = builder_.stack("decoder");
  }

  void add(const std::string& problem, Record record, const LineReader& lines) {
    if (problem != problem_) finish(lines.path());
    problem_ = problem;
    if (records_.size() >= most_records_of_a_problem)
      throw InputError(lines.where(),
                       "over " + std::to_string(most_records_of_a_problem) + " records of one problem");
    records_.push_back(std::move(record));
  }

  void finish(const std::string& path) {
    if (records_.empty()) return;
    std::stable_sort(records_.begin(), records_.end(),
                     [](const Record& a, const Record& b) { return a.token < b.token; });
    sink_.begin_request(problem_, 1);
    std::int64_t next = records_.front().token, missing = 0;
    for (std::size_t i = 0; i < records_.size();) {
      const std::int64_t token = records_[i].token;
      const std::string where = path + ":" + std::to_string(records_[i].line);
      missing += token - next;
      if (missing > few_tokens && missing > static_cast<std::int64_t>(records_.size()))
        throw InputError(where,
                         "of " + printable(problem_) + " more tokens are missing (" +
                             std::to_string(missing) + ") than there are records",
                         "is this the whole recording?");
      for (; next < token; ++next) builder_.emit_empty(stack_, next, where);
      for (; i < records_.size() && records_[i].token == token; ++i)
        builder_.add({.stack = stack_,
                      .layer = records_[i].layer,
                      .token = token,
                      .ids = records_[i].ids,
                      .weights = records_[i].weights},
                     path + ":" + std::to_string(records_[i].line));
      builder_.emit({.phase = Phase::decode, .sequences = 1, .position = token});
      next = token + 1;
    }
    records_.clear();
  }

  [[nodiscard]] std::string note() const { return builder_.missing_note(); }

 private:
  PassBuilder builder_;
  RecordingSink& sink_;
  int stack_ = 0;
  std::string problem_;
  std::vector<Record> records_;
};

}  // namespace

bool is_speculative_moe(std::string_view start) {
  return RecordStart(start).has_all({"layer", "token_idx", "experts", "gating_probs"});
}

void parse_speculative_moe(const std::vector<std::string>& inputs, RecordingFacts& facts,
                           RecordingSink& sink) {
  std::vector<std::string> unread;
  Problems problems(facts, sink);
  for (const std::string& input : inputs) {
    LineReader lines(input);
    std::string_view line;
    while (lines.next(line)) {
      if (line.empty()) continue;
      const Json object = parse_json_line(line, lines);
      Fields fields(object, lines, "the record ");
      Record record{};
      record.line = lines.number();
      record.token = fields.integer("token_idx", 0, 1'000'000'000);
      record.layer = static_cast<int>(fields.integer("layer", 0, max_layers - 1));
      fields.experts(fields.require("experts"), "experts", record.ids);
      fields.weights(fields.require("gating_probs"), "gating_probs", record.ids.size(), record.weights);
      std::string problem = fields.text_or_empty("dataset");
      if (problem.empty()) problem = std::filesystem::path(input).filename().string();
      problem += "/" + std::to_string(fields.integer_or("problem_id", 0, std::int64_t{1} << 53, 0));
      fields.leave(unread);
      problems.add(problem, std::move(record), lines);
    }
    problems.finish(input);
  }
  facts.notes.emplace_back("the recording holds decoded tokens only: no prefill is simulated");
  if (const std::string missing = problems.note(); !missing.empty()) facts.notes.push_back(missing);
  note_unread(unread, facts);
}

}  // namespace pregate::trace
