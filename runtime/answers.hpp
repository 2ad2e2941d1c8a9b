// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/executor.hpp"

namespace pregate::runtime {

/// What a planner was told that depended on time, in the order in which it asked: all that its decisions
/// depend on beside the trace.
struct Answers {
  enum class About : std::uint8_t { wait, is_done, backlog, cancel };
  struct Answer {
    About about;
    std::int64_t of;     ///< the operation, or the stream
    std::int64_t value;  ///< picoseconds, or 0 and 1
    bool operator==(const Answer&) const = default;
  };
  std::vector<Answer> all;
};

/// An executor whose answers are written down.
class AnswersRecorded final : public sim::Executor {
 public:
  /// Both must outlive it.
  AnswersRecorded(sim::Executor& inner, Answers& answers) : inner_(inner), answers_(answers) {}

  [[nodiscard]] bool records() const override { return inner_.records(); }
  [[nodiscard]] bool stops_at_gates() const override { return inner_.stops_at_gates(); }
  void observe(const sim::OperationObservers& observers) override { inner_.observe(observers); }
  void begin_pass(const sim::PassInfo& pass) override { inner_.begin_pass(pass); }
  void run(const sim::LayerProgram& program) override { inner_.run(program); }
  Picoseconds wait(sim::OpId operation) override;
  [[nodiscard]] bool is_done(sim::OpId operation) const override;
  [[nodiscard]] Picoseconds backlog(sim::StreamId stream) const override;
  bool cancel(sim::OpId copy) override;
  Picoseconds end_pass(sim::OpId last) override { return inner_.end_pass(last); }
  void finish() override { inner_.finish(); }
  [[nodiscard]] const sim::Tally& tally() const override { return inner_.tally(); }
  [[nodiscard]] sim::PathPoint end() const override { return inner_.end(); }

 private:
  sim::Executor& inner_;
  Answers& answers_;
};

/// An executor that gives the answers of another run: the planner then decides as it did there. A copy that
/// was taken back there is taken back here as it is issued, as it never started there.
/// std::logic_error when the planner asks something else than it did there.
class AnswersReplayed final : public sim::Executor {
 public:
  AnswersReplayed(sim::Executor& inner, const Answers& answers);

  [[nodiscard]] bool records() const override { return inner_.records(); }
  [[nodiscard]] bool stops_at_gates() const override { return inner_.stops_at_gates(); }
  void observe(const sim::OperationObservers& observers) override { inner_.observe(observers); }
  void begin_pass(const sim::PassInfo& pass) override { inner_.begin_pass(pass); }
  void run(const sim::LayerProgram& program) override;
  Picoseconds wait(sim::OpId operation) override;
  [[nodiscard]] bool is_done(sim::OpId operation) const override {
    return next(Answers::About::is_done, operation) != 0;
  }
  [[nodiscard]] Picoseconds backlog(sim::StreamId stream) const override {
    return {next(Answers::About::backlog, static_cast<std::int64_t>(stream))};
  }
  bool cancel(sim::OpId copy) override { return next(Answers::About::cancel, copy) != 0; }
  Picoseconds end_pass(sim::OpId last) override { return inner_.end_pass(last); }
  void finish() override { inner_.finish(); }
  [[nodiscard]] const sim::Tally& tally() const override { return inner_.tally(); }
  [[nodiscard]] sim::PathPoint end() const override { return inner_.end(); }

 private:
  std::int64_t next(Answers::About about, std::int64_t of) const;

  sim::Executor& inner_;
  const Answers& answers_;
  mutable std::size_t at_ = 0;
  std::vector<sim::OpId> taken_back_;  // ascending
  std::size_t next_taken_back_ = 0;
};

}  // namespace pregate::runtime
