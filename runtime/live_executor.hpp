// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/expert_arena.hpp"
#include "runtime/host_experts.hpp"
#include "runtime/layer_runner.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/ledger.hpp"
#include "sim/program/copy_plan.hpp"

namespace pregate::runtime {

/// Faults to be planted by tests: proof that the checks of outputs would see them.
struct PlantedFault {
  enum class Kind {
    none,
    corrupt_copy,  ///< a fetch copies another expert
    drop_wait,     ///< a wait between streams is left out: what the device then does is chance
    late_copy      ///< nothing waits for a fetch, and it is copied when its reader has run: the worst that a
                   ///< device may do with that wait left out, every time
  };
  Kind kind = Kind::none;
  std::int64_t at = 0;  ///< the how-manieth fetch, or cross-stream wait (drop_wait), from 0
};

/// What operations are issued to.
struct LiveStreams {
  Stream &compute, &h2d, &d2h;
  Stream* cpu = nullptr;  ///< what the CPU computes; null: nothing
  HostExperts* experts = nullptr;  ///< on it
};

/// Executor of the planner on a real device: issues each operation to the stream that the planner names,
/// ordered by events where streams depend on each other, and reads the device's clock for its times. The
/// streams h2d and d2h are copies, cpu is what the CPU computes beside the device; compute is all else.
class LiveExecutor final : public sim::Executor {
 public:
  /// Called after each pass, when all of it is done.
  std::function<void()> after_pass = nullptr;
  /// Called before each.
  std::function<void(const sim::StepShape& pass)> before_pass = nullptr;

  /// All referred to must outlive it. Times and tally cover every step, the schedule the first
  /// `recorded_steps`.
  LiveExecutor(const sim::Topology& topology, Device& device, const LiveStreams& streams, LayerRunner& layers, const ExpertStore& store, const ExpertArena& arena,
               const sim::ExpertMap& map, const sim::CopyPlan& copies, std::int64_t recorded_steps,
               const PlantedFault& fault = {});

  [[nodiscard]] bool records() const override { return true; }
  [[nodiscard]] bool stops_at_gates() const override { return true; }
  /// Prepares the pass on the host, then starts the clock.
  void begin_pass(const sim::PassInfo& pass) override;
  void run(const sim::LayerProgram& program) override;
  /// Waits until the ids of the layer's gate have reached the host. DeviceError when the gate did not choose
  /// what the trace says.
  Picoseconds wait(sim::OpId ids_known) override;
  /// Operations issued in this pass and not done, each as long as those of its stream took in earlier ones.
  [[nodiscard]] Picoseconds backlog(sim::StreamId stream) const override;
  /// A device has what it was given.
  bool cancel(sim::OpId) override { return false; }
  /// Waits until the pass has run and reads its times; returns the clock, which stands still between passes.
  /// A copy that nobody waits for belongs to its pass: the next one begins when it has ended.
  Picoseconds end_pass(sim::OpId last) override;
  [[nodiscard]] const sim::Tally& tally() const override { return ledger_.tally(); }
  [[nodiscard]] sim::PathPoint end() const override { return ledger_.end(); }

  [[nodiscard]] const sim::Ledger& ledger() const { return ledger_; }
  /// Host time spent to issue operations, waits excluded.
  [[nodiscard]] Picoseconds issue_time() const { return issue_time_; }
  /// Asked of an operation of the present step: whether the device has done it.
  [[nodiscard]] bool is_done(sim::OpId operation) const override;

 private:
  struct Marks {
    std::unique_ptr<Event> start, finish;
  };
  Stream& stream(sim::StreamId id);
  void wait_for(sim::StreamId waiting, std::span<const sim::OpId> operations);
  void issue(const sim::Entry& entry, Bytes bytes, std::span<const sim::SlotUse> uses,
             std::span<const sim::OpId> others, std::span<const sim::OpId> copies);
  void perform(const sim::Entry& entry, Bytes bytes, std::span<const sim::SlotUse> uses, Stream& stream);
  void fetch(const sim::Entry& entry, Bytes bytes, Stream& stream);
  void copy_late(std::int32_t slot);
  void device_copy(const sim::Entry& entry, Stream& stream);
  void experts(std::span<const sim::SlotUse> uses);
  void experts_on_cpu(std::span<const sim::SlotUse> uses, Stream& stream);
  Marks& marks_of(sim::OpId operation);

  Device& device_;
  Stream &compute_, &h2d_, &d2h_;
  HostExperts* host_experts_;
  LayerRunner& layers_;
  const ExpertStore& store_;
  const ExpertArena& arena_;
  const sim::ExpertMap& map_;
  sim::CopyPlan copies_;
  sim::Ledger ledger_;
  PlantedFault fault_;
  std::unique_ptr<Event> step_began_;
  std::vector<Marks> marks_;              // by id - first_; reused from step to step
  std::vector<sim::StreamId> stream_of_;  // of the pass, by id - first_
  sim::OpId first_ = 0;
  Picoseconds clock_;  // at the step's begin
  Picoseconds issue_time_;
  int ordinal_ = 0;
  int computed_ = 0;         // experts of the layer so far
  bool layer_open_ = false;  // begin_experts() was called for it
  std::vector<ExpertWeights> weights_;
  std::vector<sim::ExpertKey> on_cpu_;
  std::vector<DeviceSpan> staged_;  // by slot: the working buffer that holds its expert, or empty
  std::vector<std::int32_t> slot_of_buffer_;  // whose expert each working buffer holds; -1: none's
  std::vector<Stream*> streams_;    // by id; null: the device has none
  std::array<std::int64_t, sim::most_streams> issued_before_{};  // operations of earlier passes, by stream
  std::int64_t working_buffer_ = 0;
  std::int64_t fetches_ = 0, waits_ = 0;

  /// A fetch that late_copy holds back.
  struct HeldCopy {
    sim::OpId id = sim::no_op;  ///< no_op: none
    std::int32_t slot = 0;
    DeviceSpan to;
    sim::ExpertKey key = 0;
    Bytes at;
  };
  HeldCopy held_;
  std::unique_ptr<Event> reader_ran_;
};

}  // namespace pregate::runtime
