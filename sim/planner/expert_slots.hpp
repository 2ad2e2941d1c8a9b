// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/engine/executor.hpp"
#include "sim/planner/host_reads.hpp"
#include "sim/planner/slot_arena.hpp"
#include "sim/policy/policy.hpp"
#include "sim/program/layer_program.hpp"
#include "sim/workload/routing.hpp"

namespace pregate::sim {

/// Which expert is in which slot, and the copies that bring it there. Keeps the two hazards apart that a slot
/// has: an operation that reads it waits for the copy that filled it, and the next copy into it waits for the
/// last operation that reads it.
class ExpertSlots {
 public:
  /// Copies go into `program`, which must outlive this: over `in`, and over `out` where an expert that is
  /// released is copied to the host first (`write_back`); a copy waits for the read that `reads` has of its
  /// expert. All experts here are of one format; programs number the slots from `first_slot` on.
  ExpertSlots(std::uint32_t keys, std::size_t slots, const Hop& in, const Hop& out, WriteBack write_back,
              const HostReads& reads, LayerProgram& program, FormatId format = model_format,
              std::int32_t first_slot = 0)
      : program_(program),
        reads_(reads),
        in_(in),
        out_(out),
        write_back_(write_back),
        format_(format),
        first_slot_(first_slot),
        arena_(slots),
        slot_of_(keys, -1) {}

  [[nodiscard]] bool holds(ExpertKey key) const { return slot_of_[key] >= 0; }
  /// -1: not in a slot (elsewhere, or resident for the run).
  [[nodiscard]] std::int32_t slot_of(ExpertKey key) const { return slot_of_[key]; }
  [[nodiscard]] std::size_t free_count() const { return arena_.free_count(); }
  /// Whether an operation has read the expert since it was copied. Precondition here and below: holds(key).
  [[nodiscard]] bool was_read(ExpertKey key) const { return arena_[slot_of_[key]].reader != 0; }
  /// Its last copy.
  [[nodiscard]] OpId ready(ExpertKey key) const { return arena_[slot_of_[key]].ready; }

  /// Operations of earlier layers end before the ids of a layer that begins now are known.
  void begin_layer(int layer) {
    layer_ = layer;
    readers_of_layer_.clear();
  }

  /// Copies `key`, an expert of `layer`, into a free slot as soon as the ids are known: in a train with those
  /// before it that wait for nothing else either. Precondition: free_count() > 0 and the key is in no slot.
  void fetch(ExpertKey key, int layer, std::uint8_t priority, OpId ids_known) {
    fetch(key, layer, priority, ids_known, format_);
  }
  void fetch(ExpertKey key, int layer, std::uint8_t priority, OpId ids_known, FormatId format);

  /// `key` is in a free slot since before the run.
  void place(ExpertKey key) {
    slot_of_[key] = arena_.take();
    arena_[slot_of_[key]].reader = before_the_run;
    arena_[slot_of_[key]].was_filled = true;
  }

  /// An operation that is about to be put together reads `key`: adds what it waits for to `copies`, the host
  /// copy or the staging copy that follows it. An expert read before is there (its earlier reader waited, on
  /// the same stream) and needs only a staging copy, unless that was made ahead.
  void wait_for_copy(ExpertKey key, int layer, OpId ids_known, std::vector<OpId>& copies);
  /// As wait_for_copy() for an expert that is on the GPU in no slot: only a staging copy can be waited for.
  void wait_for_staging(ExpertKey key, int layer, OpId ids_known, std::vector<OpId>& copies);

  /// `key`, announced for `layer`, is on the GPU, in a slot or not: it goes on to its working buffer now, as
  /// what is fetched ahead does. False when it needs no such copy.
  bool stage_ahead(ExpertKey key, int layer, OpId ids_known);
  /// The layer that `key` was staged for is done, whether it read it or not.
  void forget_staging(ExpertKey key);

  /// `operation` reads those of `keys` that are in slots.
  void add_reader(OpId operation, std::span<const ExpertKey> keys) {
    ++readers_;
    readers_of_layer_.push_back(operation);
    for (const ExpertKey key : keys) {
      if (slot_of_[key] >= 0) arena_[slot_of_[key]].reader = readers_;
    }
  }

  /// Takes its copy back, as much of it as has not started; the expert is then not there. False when all of
  /// it has started. Precondition: nothing reads it.
  bool take_back(ExpertKey key, Executor& executor);

  /// Swapping: copies `key`, which is about to be released, to the host. On the stream of the fetches, so
  /// that none overwrites the slot before; it may still be read meanwhile. Otherwise nothing.
  void write_back(ExpertKey key);
  [[nodiscard]] std::int64_t written_back() const { return written_back_; }

  /// Gives the slot back, if it has one; writes it back first where that was not done.
  void release(ExpertKey key) {
    if (slot_of_[key] < 0) return;
    write_back(key);
    arena_.give_back(slot_of_[key]);
    slot_of_[key] = -1;
  }

 private:
  /// Copies that were issued ahead, for experts in no slot.
  struct Ahead {
    ExpertKey key;
    OpId ready;
  };
  struct Train {
    OpId first = no_op, ids_known = no_op;
    int layer = -1;
    std::uint8_t priority = 0;
    FormatId format{};
    bool operator==(const Train&) const = default;
  };
  OpId issue_staging(ExpertKey key, int layer, OpId ids_known);
  [[nodiscard]] std::vector<Ahead>::iterator find_ahead(ExpertKey key);

  LayerProgram& program_;
  const HostReads& reads_;
  Hop in_, out_;
  WriteBack write_back_;
  FormatId format_;
  std::int32_t first_slot_;
  int layer_ = 0;
  std::int64_t written_back_ = 0;
  SlotArena arena_;
  std::vector<std::int32_t> slot_of_;  // by key; -1 = in no slot
  static constexpr std::uint64_t before_the_run = 1;
  std::uint64_t readers_ = before_the_run;  // the last experts operation
  std::vector<OpId> readers_of_layer_;      // those of this layer
  std::vector<Ahead> ahead_;                // staged for a layer to come, in no slot
  Train train_;                             // that the last fetch is in
};

}  // namespace pregate::sim
