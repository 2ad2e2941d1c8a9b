// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cost/expert_exchange.hpp"
#include "sim/parallel/rank.hpp"
#include "sim/program/step_shape.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// Which GPUs of a stage have an expert of a layer: one, or all that have a copy of it, which get its tokens
/// in turn.
class ExpertOwners {
 public:
  ExpertOwners() = default;
  explicit ExpertOwners(std::size_t experts) : of_(experts) {}
  void add(std::size_t expert, std::uint8_t gpu) { of_[expert].push_back(gpu); }
  [[nodiscard]] std::size_t experts() const { return of_.size(); }
  [[nodiscard]] std::span<const std::uint8_t> operator[](std::size_t expert) const { return of_[expert]; }

 private:
  std::vector<std::vector<std::uint8_t>> of_;
};

/// The requests of a pass dealt to groups of GPUs that attend to requests of their own, one after the other,
/// those with the longest context first: then the first group has the most to do, and others wait for it.
class DealtTokens {
 public:
  DealtTokens(const ParallelSpec& spec, int gpus_a_host)
      : spec_(spec), totals_(spec.gpus_a_stage(), gpus_a_host), returned_(totals_) {}

  /// What the first group attends to of the pass; the pass itself where there is one group. Valid until the
  /// next call.
  const StepShape& shape_of_first(const StepShape& shape);
  /// The same of each part of a pass that is cut. Valid until the next call of this.
  std::span<const StepShape> shapes_of_first(std::span<const StepShape> parts);

  /// By whom each token of the pass is attended to.
  void deal(const trace::Step& step);
  [[nodiscard]] std::size_t tokens() const { return sender_.size(); }
  /// Most tokens of the pass that one GPU sends.
  [[nodiscard]] int most_sent() const;
  /// What GPUs send each other for an expert layer of the pass: a token once for each of its experts that is
  /// elsewhere. `ids`: tokens x top_k of the layer, or of a part of the pass that begins with token `first`;
  /// `row`: activations of a token. Valid until the next call.
  const ExchangeTotals& exchanged(std::span<const std::uint16_t> ids, int top_k, const ExpertOwners& owners,
                                  Bytes row, std::size_t first = 0);
  /// The same where tokens stay where their first expert is: what each sends from where it was left to its
  /// experts; `returned` is then what these send to the first one's GPU, for all but that.
  const ExchangeTotals& followed(std::span<const std::uint16_t> ids, int top_k, const ExpertOwners& owners,
                                 Bytes row, std::size_t first = 0);
  [[nodiscard]] const ExchangeTotals& returned() const { return returned_; }
  /// The same under static gating: each GPU sends `room` rows to each expert, whatever is routed.
  const ExchangeTotals& padded(const ExpertOwners& owners, std::int64_t room, Bytes row);
  /// (token, expert) pairs of the layer for which the expert has no room, `room` for each GPU that sends.
  [[nodiscard]] std::int64_t dropped(std::span<const std::uint16_t> ids, int experts, std::int64_t room);

 private:
  StepShape shape_of_first(const StepShape& shape, std::vector<AlikeSequences>& kept);

  ParallelSpec spec_;
  StepShape first_;
  std::vector<StepShape> firsts_;  // of the parts of a pass
  std::vector<AlikeSequences> alike_, kept_;
  std::vector<std::vector<AlikeSequences>> kept_of_parts_;
  std::vector<std::uint8_t> sender_;   // of each token
  std::vector<std::uint8_t> place_;    // of each token, where it follows its experts
  ExchangeTotals totals_, returned_;   // of a layer
  std::vector<std::uint32_t> counts_;  // by GPU that sends, or by expert
};

}  // namespace pregate::sim
