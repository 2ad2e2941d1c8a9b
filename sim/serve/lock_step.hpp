// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "sim/serve/batcher.hpp"

namespace pregate::sim {

/// What `sequences` sequences of a request do in their part of the step; in decode one token of each is
/// accepted where the part does not say how many. Request, sequence and encoder_tokens are left to the
/// caller.
Row row_of(const trace::Step& step, int sequences, const trace::SequencePart& part);

/// The passes of a trace as it has them, one request after the other: what is batched or cut was batched
/// (trace::compose_batches) or cut (cut_prompts) in the source. Of a decode step one token a sequence is
/// accepted, whatever it verifies. Where several passes may be under way, those are of one prompt in parts:
/// all its tokens are known, and a GPU has the keys and values of the part before when it is done with that.
class LockStep final : public Batcher {
 public:
  /// Begins at the start of `source`, which outlives this.
  /// `batches`: as BatcherSetting.
  explicit LockStep(trace::StepSource& source, int batches = 1) : source_(source), batches_(batches) {
    source_.rewind();
  }

  int may_run_beside() override;
  bool next(Picoseconds now, ServedPass& pass) override;

 private:
  [[nodiscard]] Row own_row(const trace::Step& step, int sequence, int sequences,
                            const trace::SequencePart& part) const;

  bool read(trace::Step& step);

  trace::StepSource& source_;
  int batches_;
  std::optional<trace::Step> next_;           ///< that was looked at before its turn
  trace::Phase last_ = trace::Phase::decode;  ///< of the pass before it
  std::int64_t request_ = -1;
  int encoder_tokens_ = 0;  ///< a sequence, of the request
  std::vector<Row> rows_;
  Row one_;  ///< of a pass of one row, which most are
};

}  // namespace pregate::sim
