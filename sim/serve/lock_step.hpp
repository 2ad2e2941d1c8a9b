// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/serve/batcher.hpp"

namespace pregate::sim {

/// What `sequences` sequences of a request do in their part of the step; in decode one token of each is
/// accepted where the part does not say how many. Request, sequence and encoder_tokens are left to the
/// caller.
Row row_of(const trace::Step& step, int sequences, const trace::SequencePart& part);

/// The passes of a trace as it has them, one request after the other: what is batched or cut was batched
/// (trace::compose_batches) or cut (cut_prompts) in the source. Of a decode step one token a sequence is
/// accepted, whatever it verifies.
class LockStep final : public Batcher {
 public:
  /// Begins at the start of `source`, which outlives this.
  explicit LockStep(trace::StepSource& source) : source_(source) { source_.rewind(); }

  bool next(Picoseconds now, ServedPass& pass) override;

 private:
  [[nodiscard]] Row own_row(const trace::Step& step, int sequence, int sequences,
                            const trace::SequencePart& part) const;

  trace::StepSource& source_;
  std::int64_t request_ = -1;
  int encoder_tokens_ = 0;  ///< a sequence, of the request
  std::vector<Row> rows_;
  Row one_;  ///< of a pass of one row, which most are
};

}  // namespace pregate::sim
