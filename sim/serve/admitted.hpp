// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "sim/serve/batcher.hpp"
#include "traces/layout.hpp"
#include "traces/owned_step.hpp"

namespace pregate::sim {

class StepJoiner;

/// A request that has a place: its passes as recorded, and how far it is in them.
class Admitted {
 public:
  Admitted(std::int64_t number, Picoseconds arrival, std::vector<trace::OwnedStep> steps)
      : number_(number), arrival_(arrival), steps_(std::move(steps)) {}

  [[nodiscard]] std::int64_t number() const { return number_; }
  [[nodiscard]] bool is_done() const { return at_ == steps_.size(); }
  [[nodiscard]] const trace::OwnedStep& current() const { return steps_[at_]; }
  [[nodiscard]] trace::Phase phase() const { return current().step.phase; }
  [[nodiscard]] int stack() const { return current().step.stack; }
  /// Of its next pass, or of its last.
  [[nodiscard]] int sequences() const { return (is_done() ? steps_.back() : current()).step.sequences; }
  /// Of the current pass, tokens that it has not had.
  [[nodiscard]] int tokens_left() const { return current().step.tokens - taken_; }
  [[nodiscard]] bool has_begun() const { return at_ > 0 || taken_ > 0; }

  /// Cached tokens of its sequence after the whole of the current pass.
  [[nodiscard]] int context_after() const { return current().step.position + current().step.tokens; }
  /// The longest that its context becomes.
  [[nodiscard]] int longest_context() const;
  /// Whether what it had is known token by token: one sequence, and no encoder.
  [[nodiscard]] bool can_be_recomputed() const;

  /// Blocks of KV memory that it holds.
  int blocks = 0;
  int batch = 0;  ///< that it runs in, of those that may be under way at once
  /// It has lost what was cached. Its next pass is a prompt of all tokens that it had, and of the one that it
  /// would have decoded next: what comes of that is that token's successor, as in vLLM. Where the next step
  /// verifies drafts it comes afterwards, as recorded.
  void preempt(StepJoiner& joiner);

  /// What it has in a pass, views of its entries.
  struct Part {
    Row row;
    const trace::OwnedStep* of = nullptr;
    int first = 0;    ///< token of the recorded pass
    int context = 0;  ///< cached tokens a sequence after the whole of that
  };
  /// The next `tokens` of the current pass, all of it unless it is the prompt of one sequence.
  Part take(int tokens);

 private:
  std::int64_t number_;
  Picoseconds arrival_;
  std::vector<trace::OwnedStep> steps_;
  std::size_t at_ = 0;
  int taken_ = 0;
  int encoder_tokens_ = 0;     ///< a sequence
  int recomputed_ = 0;         ///< first tokens of the current pass that it had before
  bool brings_token_ = false;  ///< the current pass, a prompt, ends with a token that was to be decoded
  int preemptions_ = 0;
};

/// Joins parts of one stack to the step of a pass. Its views are valid until the next call.
class StepJoiner {
 public:
  explicit StepJoiner(const trace::TraceInfo& info)
      : layouts_(trace::layouts(info)),
        of_predicted_(trace::prediction_layouts(info)),
        has_predictions_(info.has_predictions),
        has_weights_(info.has_weights) {}
  /// InputError where the pass is larger than a step may be. `request` and `index` are left to the caller.
  trace::Step join(std::span<const Admitted::Part> parts);

 private:
  template <class T>
  std::span<const T> gather(std::span<const Admitted::Part> parts,
                            const std::vector<trace::StackLayout>& layouts,
                            std::vector<T> trace::OwnedStep::*entries, std::vector<T>& joined) const;

  std::vector<trace::StackLayout> layouts_, of_predicted_;
  bool has_predictions_, has_weights_;
  std::vector<std::uint16_t> experts_, predicted_;
  std::vector<float> weights_;
};

}  // namespace pregate::sim
