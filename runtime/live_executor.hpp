// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/copy_queue.hpp"
#include "runtime/expert_arena.hpp"
#include "runtime/host_experts.hpp"
#include "runtime/host_slots.hpp"
#include "runtime/layer_runner.hpp"
#include "runtime/stream_backlog.hpp"
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
    late_copy,     ///< nothing waits for a fetch, and it is copied when its reader has run: the worst that a
                   ///< device may do with that wait left out, every time
    late_drive_read,  ///< an expert is read from the drive when it has been taken from host memory
    stale_unpacking,  ///< a matrix of an expert is not unpacked: the one that was before it is multiplied
    /// An expert that is to be computed as the model has it is computed from a slot of formats.low that holds
    /// it, or still does.
    stale_format,
    cancelled_copy_lands  ///< a copy that was taken back is made after all, behind the next one into its slot
  };
  Kind kind = Kind::none;
  /// The how-manieth fetch, cross-stream wait, matrix, expert that slots of both formats hold, or copy that
  /// was taken back, from 0.
  std::int64_t at = 0;
  CacheFault cache = {};  ///< beside it
};

/// What operations are issued to.
struct LiveStreams {
  Stream &compute, &h2d, &d2h;
  Stream* cpu = nullptr;            ///< what the CPU computes; null: nothing
  HostExperts* experts = nullptr;   ///< on it
  Stream* drive = nullptr;          ///< reads from a drive; null: host memory holds all experts
  HostSlots* host_slots = nullptr;  ///< that it fills
};

/// When copies to the device are given to it.
enum class CopyOrder {
  at_once,      ///< as they are issued
  held_back,    ///< when their turn is close: until then they can be taken back
  by_priority,  ///< likewise, and a copy of a lower priority value overtakes those of a higher one
};

/// Experts in one of the run's formats: where they are fetched from, and in what pieces.
struct FormatSource {
  const ExpertStore* store = nullptr;  ///< null: the run has no such format
  sim::CopyPlan copies;
};

struct LiveOptions {
  std::int64_t recorded_steps = 0;  ///< whose schedule is kept; times and tally cover every step
  CopyOrder copies = CopyOrder::at_once;
  StreamBacklog::Expected expected = nullptr;  ///< of operations of which none has ended yet
  std::size_t copies_ahead = 2;  ///< held back: those that the device has before anything waits for them
  PlantedFault fault = {};
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

  /// All referred to must outlive it.
  /// `formats`: by sim::FormatId. Their experts have equally many pieces.
  LiveExecutor(const sim::Topology& topology, Device& device, const LiveStreams& streams, LayerRunner& layers,
               const std::array<FormatSource, 2>& formats, const ExpertArena& arena,
               const sim::ExpertMap& map, const LiveOptions& options);

  [[nodiscard]] bool records() const override { return true; }
  [[nodiscard]] bool stops_at_gates() const override { return true; }
  void observe(const sim::OperationObservers& observers) override { ledger_.observe(observers); }
  /// Prepares the pass on the host, then starts the clock.
  void begin_pass(const sim::PassInfo& pass) override;
  void run(const sim::LayerProgram& program) override;
  /// Waits until the ids of the layer's gate have reached the host. DeviceError when the gate did not choose
  /// what the trace says.
  Picoseconds wait(sim::OpId ids_known) override;
  /// Of this pass, as StreamBacklog.
  [[nodiscard]] Picoseconds backlog(sim::StreamId stream) const override;
  /// A copy that the device has been given counts as started, though one or two of those wait there.
  bool cancel(sim::OpId copy) override;
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
  void perform(sim::OpId id, const sim::Entry& entry, Bytes bytes, std::span<const sim::SlotUse> uses,
               Stream& stream);
  void fetch(sim::OpId id, const sim::Entry& entry, Bytes bytes, Stream& stream);
  [[nodiscard]] Bytes chunk_begin(int chunk, Bytes size, Bytes slot) const;
  [[nodiscard]] const FormatSource& in(sim::FormatId format) const {
    return formats_[static_cast<std::size_t>(format)];
  }
  [[nodiscard]] int chunks() const { return in(sim::model_format).copies.chunks; }
  [[nodiscard]] bool is_cut() const { return micro_batches_ > 0; }
  void compute_here(const sim::LayerProgram& program);
  void let_host_know(std::span<const sim::OpId> dependencies);
  void wait_on_host(const Event& known, int micro_batch);
  void hand_over(const CopyQueue::Copy& copy);
  void hand_over_through(sim::OpId id);
  void hand_over_what_is_due();
  void expect_uses(const sim::LayerProgram& program);
  void copy_expert(Stream& stream, sim::FormatId format, DeviceSpan to, sim::ExpertKey key, Bytes at);
  void read_from_drive(sim::ExpertKey key, Stream& stream);
  void read_late(sim::ExpertKey key, sim::OpId taken_by);
  void land_too_late(std::int32_t slot, Stream& stream);
  [[nodiscard]] Picoseconds took(sim::OpId id) const;
  void copy_late(std::int32_t slot);
  void device_copy(const sim::Entry& entry, Stream& stream);
  void experts(const sim::Entry& entry, std::span<const sim::SlotUse> uses);
  [[nodiscard]] ExpertWeights weights_in(std::int32_t slot, sim::ExpertKey key);
  [[nodiscard]] std::int32_t low_slot_of(sim::ExpertKey key) const;
  void experts_on_cpu(sim::OpId id, std::span<const sim::SlotUse> uses, Stream& stream);
  Marks& marks_of(sim::OpId operation);

  Device& device_;
  Stream &compute_, &h2d_, &d2h_;
  HostExperts* host_experts_;
  Stream* drive_;
  HostSlots* host_slots_;
  LayerRunner& layers_;
  std::array<FormatSource, 2> formats_;
  const ExpertArena& arena_;
  const sim::ExpertMap& map_;
  sim::Ledger ledger_;
  PlantedFault fault_;
  std::unique_ptr<Event> step_began_;
  std::vector<Marks> marks_;  // by id - first_; reused from step to step
  struct Issued {
    sim::StreamId stream;
    std::int64_t turn = 0;  ///< its place among what the device was given in this pass
  };
  [[nodiscard]] Issued& issued(sim::OpId id) { return issued_[static_cast<std::size_t>(id - first_)]; }
  std::vector<Issued> issued_;  // of the pass, by id - first_
  std::int64_t given_to_device_ = 0;
  sim::OpId first_ = 0;
  Picoseconds clock_;  // at the step's begin
  Picoseconds issue_time_;
  int ordinal_ = 0;
  std::int32_t micro_batches_ = 0;  // of the pass; 0: it is not cut
  struct ReadBack {
    sim::OpId id;
    std::int32_t micro_batch;
  };
  std::deque<ReadBack> unread_;  // of a pass that is cut: whose ids the host has not looked at
  std::vector<sim::ExpertKey> here_;
  std::vector<std::int64_t> held_by_;  // by slot: the expert that was copied there last; -1: none
  std::int64_t in_both_formats_ = 0;
  std::vector<ExpertWeights> weights_;
  std::vector<HostExperts::Held> on_cpu_;
  std::vector<DeviceSpan> staged_;            // by slot: the working buffer that holds its expert, or empty
  std::vector<std::int32_t> slot_of_buffer_;  // whose expert each working buffer holds; -1: none's
  std::vector<Stream*> streams_;              // by id; null: the device has none
  CopyOrder copy_order_;
  std::size_t copies_ahead_;
  CopyQueue held_back_;
  std::deque<sim::OpId> given_;    // copies that the device has and has not made, as far as was asked
  mutable StreamBacklog backlog_;  // it learns when it is asked
  Picoseconds now_;                // at the last decision point
  std::int64_t working_buffer_ = 0;
  std::int64_t fetches_ = 0, waits_ = 0, taken_back_ = 0;

  /// A fetch that late_copy holds back.
  struct HeldCopy {
    sim::OpId id = sim::no_op;  ///< no_op: none
    std::int32_t slot = 0;
    DeviceSpan to;
    sim::ExpertKey key = 0;
    Bytes at;
    sim::FormatId format{};
  };
  std::int64_t reads_ = 0;
  std::optional<sim::ExpertKey> late_read_;
  HeldCopy held_;
  HeldCopy lands_;  ///< a copy that was taken back and is made all the same (cancelled_copy_lands)
  std::unique_ptr<Event> reader_ran_;
};

}  // namespace pregate::runtime
