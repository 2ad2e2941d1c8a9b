// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serve/lock_step.hpp"

#include <algorithm>

namespace pregate::sim {

bool LockStep::next(Picoseconds /*now*/, ServedPass& pass) {
  trace::Step& step = pass.step;
  if (!source_.next(step)) return false;
  if (step.first_of_request || request_ < 0) {
    ++request_;
    encoder_tokens_ = 0;
  }
  if (step.phase == trace::Phase::encoder) encoder_tokens_ = step.tokens / std::max(1, step.sequences);
  rows_.clear();
  const auto add = [&](int sequences, const trace::SequencePart& part) {
    Row row{.request = request_,
            .sequence = static_cast<int>(rows_.size()),
            .sequences = sequences,
            .phase = step.phase,
            .tokens = part.tokens,
            .position = part.position,
            .encoder_tokens = encoder_tokens_};
    if (step.phase == trace::Phase::decode) {
      row.drafted = std::max(0, part.tokens - sequences);
      row.accepted = sequences;
      row.logits = part.tokens;
    } else if (step.phase == trace::Phase::prefill && part.ends) {
      row.logits = sequences;  // only a sequence's last token needs them
    }
    rows_.push_back(row);
  };
  for (const trace::SequencePart& part : step.parts) add(1, part);
  if (rows_.empty()) add(step.sequences, {step.tokens, step.position});
  pass.rows = rows_;
  return true;
}

}  // namespace pregate::sim
