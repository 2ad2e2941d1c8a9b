// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/engine/event_engine.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/expert_names.hpp"
#include "sim/engine/ledger.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Calls `enter(entry, price, others, copies)` for each operation of `work`, in order: one, or the copies of
/// a train, of which each waits as the train does and each expert's staging copy for its last one. `prices`
/// is a Pricer, or what says another thing of each operation in its place.
template <class Prices, class Enter>
void for_each_operation(const Work& work, const LayerProgram& program, Prices& prices,
                        const ExpertNames& names, Enter&& enter) {
  Entry entry{.kind = work.kind,
              .stream = work.stream,
              .crosses = work.crosses,
              .priority = work.priority,
              .layer = work.layer};
  entry.ordinal = work.ordinal;
  entry.micro_batch = work.micro_batch;
  entry.format = work.format;
  const std::span<const OpId> others = program.others(work), copies = program.copies(work);
  switch (work.kind) {
    case OpKind::fetch: {
      OpId id = work.first;
      for (const SlotUse& use : program.uses(work)) {
        entry.kind = OpKind::fetch;
        entry.expert = names.of(work.stream, use.key);
        entry.key = use.key;
        entry.slot = entry.source = use.slot;
        for (entry.chunk = 0; entry.chunk < program.shape().chunks; ++entry.chunk, ++id) {
          enter(entry, prices.fetch(entry.chunk, work.format, work.stream), others, copies);
        }
        if (!program.shape().stages) continue;
        entry.kind = OpKind::device_copy;
        const OpId copied = id - 1;
        enter(entry, prices.device_copy(work.stream), std::span<const OpId>{},
              std::span<const OpId>{&copied, 1});
        ++id;
      }
      return;
    }
    case OpKind::device_copy:
      entry.source = program.uses(work).front().slot;
      break;
    case OpKind::drive_read:
    case OpKind::write_back: {
      const SlotUse& use = program.uses(work).front();
      entry.expert = names.of(work.stream, use.key);
      entry.key = use.key;
      entry.slot = use.slot;
      break;
    }
    case OpKind::experts:
    case OpKind::cpu_experts:
    case OpKind::read_through:
      entry.count = static_cast<std::int32_t>(work.tokens.size);
      break;
    default:
      break;
  }
  enter(entry, prices.price(work, program), others, copies);
}

/// Executor in virtual time on the event engine: for shared resources and priority queues, and for recording
/// a schedule with its timeline. Counts the same tally as StreamClock.
class EventExecutor final : public Executor {
 public:
  /// As Ledger. All referred to must outlive it.
  EventExecutor(const Topology& topology, CostModel& costs, ExpertNames names, std::int64_t recorded_steps)
      : prices_(costs),
        names_(std::move(names)),
        engine_(topology.platform),
        ledger_(topology, recorded_steps, costs.compute_traffic()) {}

  /// As Ledger's.
  void record_from(std::int64_t step) { ledger_.record_from(step); }

  [[nodiscard]] bool records() const override { return true; }
  void observe(const OperationObservers& observers) override { ledger_.observe(observers); }
  void begin_pass(const PassInfo& pass) override;
  void run(const LayerProgram& program) override;
  Picoseconds wait(OpId operation) override;
  [[nodiscard]] bool is_done(OpId operation) const override { return engine_.is_done(operation); }
  [[nodiscard]] Picoseconds backlog(StreamId stream) const override { return engine_.backlog(stream); }
  bool cancel(OpId copy) override;
  void idle_until(Picoseconds time) override;
  Picoseconds end_pass(OpId last) override;
  void finish() override;
  [[nodiscard]] const Tally& tally() const override { return ledger_.tally(); }
  [[nodiscard]] PathPoint end() const override { return ledger_.end(); }

  /// What was recorded; times are complete after finish().
  [[nodiscard]] const Schedule& schedule() const { return ledger_.schedule(); }
  [[nodiscard]] const Timeline& timeline() const { return ledger_.timeline(); }

 private:
  void settle();

  Pricer prices_;
  ExpertNames names_;
  EventEngine engine_;
  Ledger ledger_;
};

}  // namespace pregate::sim
