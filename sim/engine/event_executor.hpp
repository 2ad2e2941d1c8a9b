// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/engine/event_engine.hpp"
#include "sim/engine/ledger.hpp"

namespace pregate::sim {

/// Dependencies of one operation as lists, copies apart, for executors whose handles are OpIds.
class DependencyLists {
 public:
  void add(OpId handle) { push(others_, handle); }
  void add_copy(OpId handle) { push(copies_, handle); }
  [[nodiscard]] std::span<const OpId> others() const { return others_; }
  [[nodiscard]] std::span<const OpId> copies() const { return copies_; }

 private:
  static void push(std::vector<OpId>& ids, OpId handle) {
    if (handle != no_op) ids.push_back(handle);
  }
  std::vector<OpId> others_, copies_;
};

/// Executor in virtual time on the event engine: for shared resources and priority queues, and for recording
/// a schedule with its timeline. Counts the same tally as TimedExecutor.
class EventExecutor {
 public:
  using Handle = OpId;
  using Dependencies = DependencyLists;
  static constexpr Handle nothing = no_op;
  static constexpr bool records = true;

  /// As Ledger.
  EventExecutor(const Platform& platform, std::int64_t recorded_steps, BytesPerSecond compute_traffic = {})
      : engine_(platform), ledger_(platform, recorded_steps, compute_traffic) {}

  void begin_step(std::int64_t step, int stack, int tokens) { ledger_.begin_step(step, stack, tokens); }
  Handle issue(const Request& request, const Dependencies& dependencies) {
    const Operation& operation = ledger_.add(request, dependencies.others(), dependencies.copies());
    return engine_.submit(operation, ledger_.dependencies());
  }
  void record_block(Handle first, Picoseconds, Handle last) { ledger_.record_block(first, last); }
  Picoseconds end_step(Handle last) {
    engine_.run_until(last);
    const Picoseconds end = engine_.finish(last);
    settle();
    return end;
  }
  void finish() {
    engine_.run();
    settle();
  }
  [[nodiscard]] const Tally& tally() const { return ledger_.tally(); }
  [[nodiscard]] PathPoint end() const { return ledger_.end(); }

  /// What was recorded; times are complete after finish().
  [[nodiscard]] const Schedule& schedule() const { return ledger_.schedule(); }
  [[nodiscard]] const Timeline& timeline() const { return ledger_.timeline(); }

 private:
  void settle() {
    ledger_.settle([&](OpId id) { return engine_.is_done(id); },
                   [&](OpId id) {
                     return Ledger::Times{engine_.start(id), engine_.finish(id)};
                   });
    engine_.forget_before(ledger_.oldest());
  }

  EventEngine engine_;
  Ledger ledger_;
};

}  // namespace pregate::sim
