// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "sim/engine/tally.hpp"
#include "sim/schedule/operation.hpp"

namespace pregate::runtime {

/// What streams of a device have still to do, by what operations of each kind took on that stream so far: the
/// mean. Before the first one has ended a kind takes what `expected` says.
class StreamBacklog {
 public:
  using Expected = std::function<Picoseconds(sim::OpKind)>;
  explicit StreamBacklog(Expected expected = nullptr) : expected_(std::move(expected)) {}

  void issue(sim::StreamId stream, sim::OpId id, sim::OpKind kind) {
    waiting_[sim::number_of(stream)].push_back({id, kind});
  }
  void take_back(sim::StreamId stream, sim::OpId id) {
    std::erase_if(waiting_[sim::number_of(stream)], [id](const Waiting& each) { return each.id == id; });
  }

  /// Learns from those of the stream that have ended: `is_done(id)`, `took(id)` of those.
  template <class IsDone, class Took>
  void settle(sim::StreamId stream, const IsDone& is_done, const Took& took) {
    std::erase_if(waiting_[sim::number_of(stream)], [&](const Waiting& each) {
      if (!is_done(each.id)) return false;
      Mean& mean = means_[sim::number_of(stream)][static_cast<std::size_t>(each.kind)];
      mean.total += took(each.id);
      ++mean.count;
      return true;
    });
  }
  /// The rest of those that run and all of those behind. `ran(id)`: for how long it has been running; 0: it
  /// has not started.
  template <class Ran>
  [[nodiscard]] Picoseconds left(sim::StreamId stream, const Ran& ran) const {
    Picoseconds left;
    for (const Waiting& each : waiting_[sim::number_of(stream)])
      left += std::max(Picoseconds{}, expected(stream, each.kind) - ran(each.id));
    return left;
  }

 private:
  struct Waiting {
    sim::OpId id;
    sim::OpKind kind;
  };
  struct Mean {
    Picoseconds total;
    std::int64_t count = 0;
  };
  [[nodiscard]] Picoseconds expected(sim::StreamId stream, sim::OpKind kind) const {
    const Mean& mean = means_[sim::number_of(stream)][static_cast<std::size_t>(kind)];
    if (mean.count > 0) return {mean.total.count / mean.count};
    return expected_ ? expected_(kind) : Picoseconds{};
  }

  Expected expected_;
  std::array<std::vector<Waiting>, sim::most_streams> waiting_;  // not ended, in the order of issue
  std::array<std::array<Mean, sim::op_kind_count>, sim::most_streams> means_{};
};

}  // namespace pregate::runtime
