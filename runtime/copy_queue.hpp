// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "sim/engine/ledger.hpp"

namespace pregate::runtime {

/// Copies that were issued and that the device has not been given yet: a device cannot give one back, nor let
/// another overtake it, so they wait here until their turn is close.
class CopyQueue {
 public:
  struct Copy {
    sim::OpId id = sim::no_op;
    sim::Entry entry{};
    Bytes bytes;
    std::vector<sim::OpId> dependencies;
    bool is_taken_back = false;  ///< it has its turn and moves nothing
  };

  /// `by_priority`: a copy with a lower Entry::priority overtakes those before it, as soon as what it waits
  /// for is done; otherwise the order is that of issue.
  explicit CopyQueue(bool by_priority) : by_priority_(by_priority) {}

  void push(Copy copy) { copies_.push_back(std::move(copy)); }
  [[nodiscard]] bool empty() const { return copies_.empty(); }
  [[nodiscard]] bool holds(sim::OpId id) const;
  /// False when the device has it, or it was taken back before.
  bool take_back(sim::OpId id);

  using IsDone = std::function<bool(sim::OpId)>;
  /// The one whose turn is next; no_op when nobody's is.
  [[nodiscard]] sim::OpId next(const IsDone& is_done) const;
  /// Takes out what the device must be given, in this order, so that `id` is among it: all whose turn comes
  /// before, and what each of them waits for.
  [[nodiscard]] std::vector<Copy> take_through(sim::OpId id);

 private:
  void take(sim::OpId id, std::vector<Copy>& taken);

  bool by_priority_;
  std::vector<Copy> copies_;  // in the order of issue
};

}  // namespace pregate::runtime
