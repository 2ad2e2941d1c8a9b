// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/request.hpp"
#include "sim/policy/routing.hpp"
#include "sim/policy/slot_arena.hpp"

namespace pregate::sim {

/// Which expert is in which slot, and the copies that bring it there. Keeps the two hazards apart that a slot
/// has: an operation that reads it waits for the copy that filled it, and the next copy into it waits for the
/// last operation that reads it.
template <class Executor>
class ExpertSlots {
 public:
  using Handle = typename Executor::Handle;
  using Dependencies = typename Executor::Dependencies;

  /// `write_back`: an expert that is released is copied to the host first.
  ExpertSlots(const ExpertMap& map, std::size_t slots, WriteBack write_back, const CostModel& costs,
              Executor& executor)
      : map_(map),
        costs_(costs),
        executor_(executor),
        write_back_(write_back),
        arena_(slots),
        slot_of_(map.keys(), -1) {}

  [[nodiscard]] bool holds(ExpertKey key) const { return slot_of_[key] >= 0; }
  /// -1: not in a slot (elsewhere, or pinned).
  [[nodiscard]] std::int32_t slot_of(ExpertKey key) const { return slot_of_[key]; }
  [[nodiscard]] std::size_t free_count() const { return arena_.free_count(); }
  /// Whether an operation has read the expert since it was copied. Precondition here and below: holds(key).
  [[nodiscard]] bool was_read(ExpertKey key) const { return arena_[slot_of_[key]].reader != 0; }
  /// Its last copy.
  [[nodiscard]] const Handle& ready(ExpertKey key) const { return arena_[slot_of_[key]].ready; }

  /// Operations of earlier layers end before the ids of a layer that begins now are known.
  void begin_layer(int layer) {
    layer_ = layer;
    readers_of_layer_.clear();
  }

  /// Copies `key`, an expert of `layer`, into a free slot as soon as the ids are known. Precondition:
  /// free_count() > 0 and the key is in no slot.
  void fetch(ExpertKey key, int layer, std::uint8_t priority, const Handle& ids_known) {
    const std::int32_t slot_index = arena_.take();
    auto& slot = arena_[slot_index];
    Dependencies dependencies;
    dependencies.add(ids_known);
    // A reader in an earlier layer ended before this layer's gate, hence before the ids were known.
    const std::uint64_t first_reader = readers_ - readers_of_layer_.size() + 1;
    if (slot.reader >= first_reader) {
      dependencies.add(readers_of_layer_[static_cast<std::size_t>(slot.reader - first_reader)]);
    } else if (slot.reader == 0 && slot.was_filled) {
      dependencies.add_copy(slot.ready);  // filled in vain: that copy must end first
    }
    Request request{.kind = OpKind::fetch,
                    .stream = StreamId::h2d,
                    .duration = {},
                    .priority = priority,
                    .layer = layer,
                    .slot = slot_index};
    name(request, key);
    request.chunks = costs_.chunks();
    for (request.chunk = 0; request.chunk < request.chunks; ++request.chunk) {
      const CopyCost& cost = request.chunk + 1 == request.chunks ? costs_.last_chunk() : costs_.fetch();
      request.copy = &cost;
      request.duration = cost.duration;
      slot.ready = executor_.issue(request, dependencies);
    }
    slot_of_[key] = slot_index;
    if (costs_.device_copy().count > 0) {
      Dependencies after_copy;
      after_copy.add_copy(slot.ready);
      Request staging{.kind = OpKind::device_copy,
                      .stream = StreamId::h2d,
                      .duration = costs_.device_copy(),
                      .priority = priority,
                      .layer = layer,
                      .slot = slot_index};
      name(staging, key);
      slot.ready = executor_.issue(staging, after_copy);
    }
    slot.was_filled = true;
    slot.is_staged = false;
    slot.was_written_back = false;
    slot.reader = 0;
  }

  /// The operation being put together reads `key`: it waits for the host copy, or the staging copy that
  /// follows it. An expert read before is there (its earlier reader waited, on the same stream) and needs
  /// only a staging copy, unless that was made ahead.
  void wait_for_copy(ExpertKey key, int layer, const Handle& ids_known, Dependencies& dependencies) {
    auto& slot = arena_[slot_of_[key]];
    if (slot.reader != 0) {
      if (costs_.device_copy().count == 0) return;
      // Read from its working buffer by the operation that comes next, so the slot's own copy time is no
      // longer needed.
      if (!slot.is_staged) slot.ready = issue_staging(key, layer, ids_known);
      slot.is_staged = false;
    }
    dependencies.add_copy(slot.ready);
  }

  /// As wait_for_copy() for an expert that is on the GPU in no slot: only a staging copy can be waited for.
  void wait_for_staging(ExpertKey key, int layer, const Handle& ids_known, Dependencies& dependencies) {
    if (costs_.device_copy().count == 0) return;
    const auto ahead =
        std::find_if(ahead_.begin(), ahead_.end(), [key](const auto& a) { return a.key == key; });
    // Of those that are staged, the last one ends last: one handle serves all.
    if (ahead == ahead_.end()) {
      staged_ = issue_staging(key, layer, ids_known);
      dependencies.add_copy(staged_);
    } else {
      dependencies.add_copy(ahead->ready);
    }
  }

  /// `key`, announced for `layer`, is on the GPU, in a slot or not: it goes on to its working buffer now, as
  /// what is fetched ahead does. False when it needs no such copy.
  bool stage_ahead(ExpertKey key, int layer, const Handle& ids_known) {
    if (costs_.device_copy().count == 0) return false;
    if (!holds(key)) {
      const bool known =
          std::any_of(ahead_.begin(), ahead_.end(), [key](const auto& a) { return a.key == key; });
      if (!known) ahead_.push_back({key, issue_staging(key, layer, ids_known)});
      return !known;
    }
    auto& slot = arena_[slot_of_[key]];
    if (slot.reader == 0 || slot.is_staged) return false;  // its own staging copy follows its fetch
    slot.ready = issue_staging(key, layer, ids_known);
    slot.is_staged = true;
    return true;
  }
  /// The layer that `key` was staged for is done, whether it read it or not.
  void forget_staging(ExpertKey key) {
    if (holds(key)) {
      arena_[slot_of_[key]].is_staged = false;
    } else {
      std::erase_if(ahead_, [key](const auto& a) { return a.key == key; });
    }
  }

  /// `operation` reads those of `keys` that are in slots.
  void add_reader(const Handle& operation, std::span<const ExpertKey> keys) {
    ++readers_;
    readers_of_layer_.push_back(operation);
    for (const ExpertKey key : keys) {
      if (slot_of_[key] >= 0) arena_[slot_of_[key]].reader = readers_;
    }
  }

  /// Swapping: copies `key`, which is about to be released, to the host. On the stream of the fetches, so
  /// that none overwrites the slot before; it may still be read meanwhile. Otherwise nothing.
  void write_back(ExpertKey key) {
    if (write_back_ == WriteBack::none || !holds(key)) return;
    auto& slot = arena_[slot_of_[key]];
    if (slot.was_written_back) return;
    Dependencies after_copy;
    after_copy.add_copy(slot.ready);
    const CopyCost& cost = costs_.write_back();
    Request request{.kind = OpKind::write_back,
                    .stream = StreamId::h2d,
                    .duration = cost.duration,
                    .copy = &cost,
                    .layer = layer_,
                    .slot = slot_of_[key]};
    name(request, key);
    executor_.issue(request, after_copy);
    slot.was_written_back = true;
    ++written_back_;
  }
  [[nodiscard]] std::int64_t written_back() const { return written_back_; }

  /// Gives the slot back, if it has one; writes it back first where that was not done.
  void release(ExpertKey key) {
    if (slot_of_[key] < 0) return;
    write_back(key);
    arena_.give_back(slot_of_[key]);
    slot_of_[key] = -1;
  }

  /// What an operation on `keys` reads; valid until the next call. Executors that record want it.
  [[nodiscard]] std::span<const SlotUse> uses(std::span<const ExpertKey> keys) {
    uses_.clear();
    for (const ExpertKey key : keys) uses_.push_back({key, slot_of_[key]});
    return uses_;
  }

 private:
  Handle issue_staging(ExpertKey key, int layer, const Handle& ids_known) {
    Dependencies after;
    after.add(ids_known);
    Request staging{.kind = OpKind::device_copy,
                    .stream = StreamId::h2d,
                    .duration = costs_.device_copy(),
                    .layer = layer};
    SlotUse use{key, slot_of_[key]};
    if constexpr (Executor::records) {
      staging.key = key;
      staging.uses = {&use, 1};
    }
    return executor_.issue(staging, after);
  }

  /// Names are for executors that record: else no search in the hot loop.
  void name(Request& request, ExpertKey key) const {
    if constexpr (Executor::records) {
      const auto& layers = map_.layers();
      const auto after =
          std::upper_bound(layers.begin(), layers.end(), key,
                           [](ExpertKey k, const MoeLayer& layer) { return k < layer.first_key; });
      request.key = key;
      request.expert = static_cast<std::int32_t>(key - (after - 1)->first_key);
    }
  }

  const ExpertMap& map_;
  const CostModel& costs_;
  Executor& executor_;
  WriteBack write_back_;
  int layer_ = 0;
  std::int64_t written_back_ = 0;
  SlotArena<Handle> arena_;
  std::vector<std::int32_t> slot_of_;     // by key; -1 = in no slot
  std::uint64_t readers_ = 0;             // experts operations so far
  std::vector<Handle> readers_of_layer_;  // those of this layer
  std::vector<SlotUse> uses_;
  struct Ahead {
    ExpertKey key;
    Handle ready;
  };
  std::vector<Ahead> ahead_;  // staged for a layer to come, in no slot
  Handle staged_ = Executor::nothing;
};

}  // namespace pregate::sim
