// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "sim/parallel/rank.hpp"
#include "traces/trace.hpp"

namespace pregate::sim {

/// What a rank's GPU sees of a pass: its layers, and of what is routed in them what its experts get. Keeps
/// what it makes; views are valid until the next call.
class RankPass {
 public:
  /// `whole`: of the trace that passes are of. Both outlive this.
  RankPass(const Rank& rank, const trace::TraceInfo& whole) : rank_(rank), whole_(whole) {}

  trace::Step of(const trace::Step& step);

 private:
  template <class T>
  std::span<const T> layers_of(std::span<const T> all, int tokens) const;
  std::span<const std::uint16_t> own(std::span<const std::uint16_t> ids, const trace::Step& step,
                                     std::vector<std::uint16_t>& kept) const;
  std::span<const std::uint16_t> own_predicted(const trace::Step& step);

  const Rank& rank_;
  const trace::TraceInfo& whole_;
  std::vector<std::uint16_t> experts_, predicted_, all_predicted_;
};

/// The passes of a source as a rank sees them, for what must be known of them before a run.
class RankSteps final : public trace::StepSource {
 public:
  /// All outlive this.
  RankSteps(trace::StepSource& source, const Rank& rank)
      : source_(source), rank_(rank), pass_(rank, source.info()) {}

  [[nodiscard]] const trace::TraceInfo& info() const override { return rank_.info; }
  bool next(trace::Step& step) override {
    if (!source_.next(step)) return false;
    step = pass_.of(step);
    return true;
  }
  void rewind() override { source_.rewind(); }

 private:
  trace::StepSource& source_;
  const Rank& rank_;
  RankPass pass_;
};

/// The same of a source that it keeps, with what is routed in that one's layers. `rank` is of its trace.
class PartOfTrace final : public trace::StepSource {
 public:
  PartOfTrace(std::unique_ptr<trace::StepSource> whole, Rank rank)
      : whole_(std::move(whole)), rank_(std::move(rank)), steps_(*whole_, rank_) {}

  [[nodiscard]] const trace::TraceInfo& info() const override { return steps_.info(); }
  bool next(trace::Step& step) override { return steps_.next(step); }
  void rewind() override { steps_.rewind(); }

 private:
  std::unique_ptr<trace::StepSource> whole_;
  Rank rank_;
  RankSteps steps_;
};

}  // namespace pregate::sim
