// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "models/units.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Clock readings of the request that runs: when its first token came, and what it costs per token after
/// that.
class RequestClock {
 public:
  /// `has_prompt`: the request begins with an encoder pass or a prefill. Without one its first recorded step
  /// is some token's, and tells nothing of the time to the first.
  void begin(Picoseconds now, bool has_prompt) {
    close();
    begin_ = now;
    has_prompt_ = has_prompt;
    steps_ = 0;
    first_token_ = {-1};
  }
  /// A part of a prompt that is not its last gives no token.
  void end_step(const trace::Step& step, Picoseconds now) {
    end_ = now;
    if (step.phase == trace::Phase::encoder || (step.chunk && !step.chunk->last)) return;
    if (first_token_.count < 0) {
      first_token_ = now;
    } else {
      ++steps_;
    }
  }
  /// Call once after the last request.
  void close() {
    if (first_token_.count < 0) return;
    if (has_prompt_) {
      ttft_ += first_token_ - begin_;
      ++requests_;
    }
    if (steps_ > 0) {
      tpot_ms_ += (end_ - first_token_).milliseconds() / static_cast<double>(steps_);
      ++timed_requests_;
    }
    first_token_ = {-1};
  }
  [[nodiscard]] std::int64_t requests_with_prompt() const { return requests_; }
  [[nodiscard]] double ttft_ms() const {
    return requests_ == 0 ? 0 : ttft_.milliseconds() / static_cast<double>(requests_);
  }
  [[nodiscard]] double tpot_ms() const {
    return timed_requests_ == 0 ? 0 : tpot_ms_ / static_cast<double>(timed_requests_);
  }

 private:
  Picoseconds begin_, end_, first_token_{-1}, ttft_;
  std::int64_t steps_ = 0, requests_ = 0, timed_requests_ = 0;
  double tpot_ms_ = 0;
  bool has_prompt_ = false;
};

}  // namespace pregate::sim
