// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/fair_share.hpp"
#include "sim/engine/flow_time.hpp"
#include "sim/schedule/schedule.hpp"

namespace pregate::sim {

/// What the streams of a host run at present, one operation each at most: fixed phases, then flows that share
/// the host's resources. Times in ps. A flow keeps its due time as long as its rate stays, so that nothing is
/// rounded twice. Streams are numbered from 0 in their host.
class Lanes {
 public:
  /// Throws std::invalid_argument when a capacity is not finite or negative.
  Lanes(const Platform& platform, std::size_t host);

  [[nodiscard]] std::size_t size() const { return lanes_.size(); }
  [[nodiscard]] OpId operation(std::size_t stream) const { return lanes_[stream].id; }

  /// Precondition: the stream is idle and `resources` is a set of known ones.
  /// begin, share and end_due throw InputError when time would pass 106 days.
  void begin(std::size_t stream, OpId id, Picoseconds fixed, Bytes bytes, BytesPerSecond rate,
             ResourceSet resources, std::int64_t now);
  /// Gives new rates to the flows if any came or went. To be called before next_due().
  void share(std::int64_t now) {
    if (flows_changed_) share_anew(now);
  }
  /// When the next phase ends; `never` when all streams are idle.
  [[nodiscard]] std::int64_t next_due() {
    if (due_moved_) next_due_ = *std::min_element(due_.begin(), due_.end());
    due_moved_ = false;
    return next_due_;
  }
  /// Ends the phases due at `now`; the streams (set of 1 << stream) whose operations are done, now idle.
  std::uint64_t end_due(std::int64_t now);

  /// Rate of each stream's flow since the last share(), by stream; 0 without one.
  void add_rates(std::span<BytesPerSecond> to) const;

 private:
  enum class Phase : std::uint8_t { idle, fixed, flowing };

  struct Lane {
    OpId id = no_op;
    Phase phase = Phase::idle;
    bool shared = false;     ///< the flow crosses a limited resource
    bool throttled = false;  ///< the flow's rate has been below its cap
    ResourceSet resources = 0;
    Bytes bytes;
    BytesPerSecond cap;
    double rate = 0;
    double remaining = 0;  ///< bytes, as of `settled`
    std::int64_t settled = 0;
  };

  void begin_flow(std::size_t stream, std::int64_t now);
  void end_flow(std::size_t stream);
  void share_anew(std::int64_t now);

  std::vector<double> capacity_;
  ResourceSet limited_ = 0;        ///< resources with a capacity
  std::vector<std::int64_t> due_;  ///< by stream, as the others
  std::int64_t next_due_ = never;  ///< the least of them
  bool due_moved_ = false;         ///< one of them since that was found
  std::vector<Lane> lanes_;
  bool flows_changed_ = false;
  std::size_t flow_count_ = 0;
  std::vector<Flow> flows_;  ///< the shared ones, in the order in which they began
  std::vector<std::size_t> flow_stream_;
};

}  // namespace pregate::sim
