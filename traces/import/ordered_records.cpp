// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "traces/import/ordered_records.hpp"

#include "models/error.hpp"

namespace pregate::trace {

OrderedRecords::OrderedRecords(RecordingFacts& facts, RecordingSink& sink, Tokens tokens, std::string label)
    : builder_(facts, sink), sink_(sink), tokens_(tokens), label_(std::move(label)) {}

void OrderedRecords::add(const PassBuilder::Record& record, const std::string& where,
                         std::optional<Phase> phase) {
  if (!builder_.empty()) {
    const int last_layer = builder_.last_layer();
    const bool again = record.layer == last_layer && record.token <= last_token_;
    const bool next_token = phase == Phase::decode && record.token != last_token_;
    if (record.layer < last_layer || again || phase != phase_ || next_token) flush();
  }
  phase_ = phase;
  last_token_ = record.token;
  builder_.add(record, where);
}

void OrderedRecords::flush() {
  if (builder_.empty()) return;
  const std::int64_t first = builder_.first_token(), tokens = builder_.tokens();
  const Phase phase = phase_.value_or(tokens > 1 ? Phase::prefill : Phase::decode);
  std::int64_t position = first;
  bool begins = start_ < 0;
  if (!begins && tokens_ == Tokens::in_call && first == 0) {
    begins = phase == Phase::prefill && last_phase_ == Phase::decode;
    if (!begins) position = next_;
  } else if (!begins && first < next_) {
    if (first > start_)
      throw InputError(builder_.where(),
                       "token " + std::to_string(first) + " after token " + std::to_string(next_ - 1),
                       "records are out of order");
    begins = true;
  }
  if (begins) {
    sink_.begin_request(label_ + " " + std::to_string(requests_++), 1);
    start_ = position = first;
  }
  next_ = position + tokens;
  last_phase_ = phase;
  builder_.emit({.phase = phase, .sequences = 1, .position = position});
}

void OrderedRecords::finish() {
  flush();
  start_ = next_ = -1;
  last_phase_.reset();
}

}  // namespace pregate::trace
