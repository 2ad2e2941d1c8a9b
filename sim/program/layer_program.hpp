// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/program/work.hpp"

namespace pregate::sim {

/// How copies and passes are made up of operations, the same for every layer of a run.
struct WorkShape {
  int chunks = 1;              ///< copies an expert
  bool stages = false;         ///< a copy inside the device follows each expert's
  bool step_overhead = false;  ///< passes begin with an operation of their own
  bool looks_up = false;       ///< the host looks activated experts up, which takes time
  /// By layer class: attention reads a KV cache in the host's memory. Empty: that of none is there.
  std::vector<std::uint8_t> kv_on_host = {};
};

/// A flat list of work between two decision points, in the order of issue, with its dependencies. What a
/// planner and an executor share: no time is in it. Arrays are reused; nothing is allocated once they have
/// grown.
///
/// Operations are numbered in the order of issue. One entry is put together at a time: open(), then what it
/// waits for and what it is about, then close().
class LayerProgram {
 public:
  struct Block {
    OpId first, last;
  };

  explicit LayerProgram(const WorkShape& shape) : shape_(shape) {}

  [[nodiscard]] const WorkShape& shape() const { return shape_; }
  [[nodiscard]] std::span<const Work> work() const { return work_; }
  [[nodiscard]] std::span<const SlotUse> uses(const Work& work) const { return part(uses_, work.uses); }
  [[nodiscard]] std::span<const std::uint32_t> tokens(const Work& work) const {
    return part(tokens_, work.tokens);
  }
  [[nodiscard]] std::span<const OpId> others(const Work& work) const { return part(ids_, work.others); }
  [[nodiscard]] std::span<const OpId> copies(const Work& work) const { return part(copies_, work.copies); }
  /// MoE layers that ran from the start of `first` to the end of `last`, to be measured.
  [[nodiscard]] std::span<const Block> blocks() const { return blocks_; }
  /// Operations of one expert of a train.
  [[nodiscard]] std::uint32_t copies_an_expert() const {
    return static_cast<std::uint32_t>(shape_.chunks) + (shape_.stages ? 1U : 0U);
  }
  [[nodiscard]] OpId next_id() const { return next_id_; }

  /// From now on last_on() tells of this stream.
  void watch(StreamId stream) {
    const auto place = static_cast<std::size_t>(stream);
    if (last_of_.size() <= place) last_of_.resize(place + 1, no_op);
  }
  /// Of all entries that were closed, forgotten ones, too: the last operation there. no_op: none was.
  [[nodiscard]] OpId last_on(StreamId stream) {
    note_last();
    return last_of_[static_cast<std::size_t>(stream)];
  }

  /// Forgets the entries; identifiers go on.
  void clear() {
    if (!last_of_.empty()) note_last();
    noted_ = 0;
    work_.clear();
    uses_.clear();
    tokens_.clear();
    ids_.clear();
    copies_.clear();
    blocks_.clear();
  }

  /// A copy.
  Work& open(OpKind kind, const Hop& over, int layer) {
    Work& added = open(kind, over.stream, layer);
    added.crosses = over.crosses;
    added.link = over.link;
    return added;
  }
  Work& open(OpKind kind, StreamId stream, int layer) {
    Work& added = work_.emplace_back();
    added.kind = kind;
    added.stream = stream;
    added.layer = layer;
    added.first = next_id_;
    added.uses.begin = size_of(uses_);
    added.tokens.begin = size_of(tokens_);
    added.others.begin = size_of(ids_);
    added.copies.begin = size_of(copies_);
    return added;
  }
  /// Of the open entry; no_op is nothing to wait for.
  void after(OpId id) {
    if (id != no_op) ids_.push_back(id);
  }
  void after_copy(OpId id) {
    if (id != no_op) copies_.push_back(id);
  }
  void use(SlotUse use) { uses_.push_back(use); }
  void compute(std::span<const std::uint32_t> tokens) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  }
  /// The identifier of its operation, of a train's last one.
  OpId close() {
    Work& added = work_.back();
    added.uses.size = size_of(uses_) - added.uses.begin;
    added.tokens.size = size_of(tokens_) - added.tokens.begin;
    added.others.size = size_of(ids_) - added.others.begin;
    added.copies.size = size_of(copies_) - added.copies.begin;
    next_id_ += added.kind == OpKind::fetch ? std::int64_t{added.uses.size} * copies_an_expert() : 1;
    return next_id_ - 1;
  }

  /// Another expert for the train that was closed last. Precondition: nothing was opened since. The
  /// identifier of its last operation.
  OpId lengthen_train(SlotUse use) {
    uses_.push_back(use);
    ++work_.back().uses.size;
    next_id_ += copies_an_expert();
    return next_id_ - 1;
  }

  /// Whether the entry whose first operation is `first` is the last one.
  [[nodiscard]] bool ends_with(OpId first) const { return !work_.empty() && work_.back().first == first; }

  void measure(OpId first, OpId last) { blocks_.push_back({first, last}); }

 private:
  /// A train may still grow, and an entry that is open has no operation yet.
  void note_last() {
    for (; noted_ < work_.size(); ++noted_) {
      const bool is_last = noted_ + 1 == work_.size();
      const OpId end = is_last ? next_id_ : work_[noted_ + 1].first;
      const auto place = static_cast<std::size_t>(work_[noted_].stream);
      if (place < last_of_.size() && end > work_[noted_].first) last_of_[place] = end - 1;
      if (is_last) break;
    }
  }

  template <class T>
  [[nodiscard]] static std::span<const T> part(const std::vector<T>& all, const Range& range) {
    return {all.data() + range.begin, range.size};
  }
  template <class T>
  [[nodiscard]] static std::uint32_t size_of(const std::vector<T>& all) {
    return static_cast<std::uint32_t>(all.size());
  }

  WorkShape shape_;
  OpId next_id_ = 0;
  std::vector<Work> work_;
  std::vector<SlotUse> uses_;
  std::vector<std::uint32_t> tokens_;
  std::vector<OpId> ids_, copies_;
  std::vector<Block> blocks_;
  std::vector<OpId> last_of_;  // by stream; empty: nobody asks
  std::size_t noted_ = 0;      // entries of which it knows
};

}  // namespace pregate::sim
