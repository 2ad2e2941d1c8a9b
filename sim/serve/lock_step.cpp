// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/lock_step.hpp"

#include <algorithm>

namespace pregate::sim {

Row row_of(const trace::Step& step, int sequences, const trace::SequencePart& part) {
  Row row{.sequences = sequences, .phase = step.phase, .tokens = part.tokens, .position = part.position};
  if (step.phase == trace::Phase::decode) {
    row.drafted = std::max(0, part.tokens - sequences);
    row.accepted = part.accepted >= 0 ? part.accepted : sequences;
    row.logits = part.tokens;
  } else if (step.phase == trace::Phase::prefill && part.ends) {
    row.logits = sequences;  // only a sequence's last token needs them
  }
  return row;
}

Row LockStep::own_row(const trace::Step& step, int sequence, int sequences,
                      const trace::SequencePart& part) const {
  Row row = row_of(step, sequences, part);
  row.request = request_;
  row.sequence = sequence;
  row.encoder_tokens = encoder_tokens_;
  return row;
}

int LockStep::may_run_beside() {
  if (batches_ == 1) return 0;
  if (!next_) {
    trace::Step step;
    if (!source_.next(step)) return 0;
    next_ = step;
  }
  const bool goes_on =
      next_->phase == trace::Phase::prefill && !next_->first_of_request && last_ == trace::Phase::prefill;
  return goes_on ? batches_ - 1 : 0;
}

bool LockStep::read(trace::Step& step) {
  if (!next_) return source_.next(step);
  step = *next_;
  next_.reset();
  return true;
}

bool LockStep::next(Picoseconds /*now*/, ServedPass& pass) {
  trace::Step& step = pass.step;
  if (!read(step)) return false;
  last_ = step.phase;
  if (step.first_of_request || request_ < 0) {
    ++request_;
    encoder_tokens_ = 0;
  }
  if (step.phase == trace::Phase::encoder) encoder_tokens_ = step.tokens / std::max(1, step.sequences);
  if (step.parts.empty()) {
    pass.rows = {
        &(one_ = own_row(step, 0, step.sequences, {step.tokens, step.position, true, step.accepted})), 1};
    return true;
  }
  rows_.clear();
  for (const trace::SequencePart& part : step.parts)
    rows_.push_back(own_row(step, static_cast<int>(rows_.size()), 1, part));
  pass.rows = rows_;
  return true;
}

}  // namespace pregate::sim
