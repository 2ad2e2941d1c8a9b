// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/units.hpp"
#include "sim/program/step_shape.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// What a sequence of a request does in a pass.
struct Row {
  std::int64_t request = 0;  ///< numbered from 0 as they begin
  int sequence = 0;          ///< of its request
  /// More than one where a recording has merged sequences and does not say which tokens are whose: then
  /// `tokens`, `drafted`, `accepted` and `logits` are over all of them, and `position` is their mean.
  int sequences = 1;
  trace::Phase phase = trace::Phase::decode;
  int tokens = 0;
  int position = 0;        ///< cached tokens before
  int encoder_tokens = 0;  ///< context of cross-attention
  int drafted = 0;         ///< of the tokens, guesses that the pass verifies
  int accepted = 0;        ///< output tokens of the request that the pass brings
  int logits = 0;          ///< tokens whose logits are wanted; 0: the row gives no token
  /// Of the tokens, those that it had before it lost its place in KV memory.
  int recomputed = 0;
  int preemptions = 0;      ///< of its request, so far
  Picoseconds arrival{-1};  ///< of its request; -1: it arrives when its first pass begins
  bool operator==(const Row&) const = default;
};

/// A pass as a batcher composes it. Views are valid until its next one.
struct ServedPass {
  trace::Step step;  ///< all rows together, with their routing: token by token in the order of rows
  /// At least one; those of one request beside each other. All of the step's phase, or, in a decode step,
  /// prompts beside the others.
  std::span<const Row> rows;
  Picoseconds begin;       ///< not before: until then no request is there
  bool own_costs = false;  ///< rows cost what each costs; otherwise all are as their mean
};

/// Decides which sequences run together, pass by pass.
class Batcher {
 public:
  Batcher() = default;
  virtual ~Batcher() = default;
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// How many of the passes before may still run when the next one is composed and begins: before each
  /// next(), where GPUs are a pipeline of passes. Those that give it its tokens may not.
  virtual int may_run_beside() { return 0; }
  /// Composes the pass that begins `now`, when the one before it has ended, or at `pass.begin`, if that is
  /// later: nothing is there before. False when no request is left. A pass without rows, where several may be
  /// under way: nothing can be composed before another one of them has ended.
  virtual bool next(Picoseconds now, ServedPass& pass) = 0;
};

/// How costs depend on the rows. Their position is the mean over sequences, rounded up, which keeps the
/// number of cached tokens that attention reads; exact where all rows are at one position.
StepShape shape_of(std::span<const Row> rows, int model_stack);

/// Puts together which rows are alike, in `alike`, in the order of the first of each.
void group_alike(std::span<const Row> rows, std::vector<AlikeSequences>& alike);

}  // namespace pregate::sim
