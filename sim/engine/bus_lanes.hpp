// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/cost/cost_model.hpp"
#include "sim/engine/flow_time.hpp"
#include "sim/platform/platform.hpp"

namespace pregate::sim {

/// An operation of one of two lanes that may share resources: a fixed time, then a flow. With the rates that
/// it and what may run beside it get.
struct BusFlow {
  static constexpr std::size_t most_beside = 2;
  struct Rates {
    double own = 0, other = 0;  ///< bytes/s
  };
  Picoseconds fixed;
  Bytes bytes;  ///< > 0
  BytesPerSecond rate;
  ResourceSet crosses = 0;
  Picoseconds alone;       ///< of its flow at `rate`
  double alone_rate = 0;   ///< that it gets, at most `rate`
  std::size_t number = 0;  ///< of what runs on the lane of copies: its place in `beside`
  std::array<std::array<Rates, 2>, most_beside> beside{};  ///< of another, [1]: which began later

  [[nodiscard]] Picoseconds duration() const { return fixed + alone; }
};

/// Two streams at work, one operation each at most, that share resources: Lanes for two, with the shares
/// known beforehand. Gives the same times to the picosecond, which needs the same sums in the same order.
/// Times in ps.
class BusLanes {
 public:
  enum Stream : std::size_t { copies, host };

  explicit BusLanes(const Platform& platform);

  /// Of the lane of copies; `number` < BusFlow::most_beside.
  [[nodiscard]] BusFlow copy_flow(const CopyCost& cost, ResourceSet crosses, std::size_t number);
  /// Of the other; all of copy_flow() have been made.
  [[nodiscard]] BusFlow host_flow(const CopyCost& cost, ResourceSet crosses) const;

  [[nodiscard]] bool is_idle(Stream stream) const { return lanes_[stream].flow == nullptr; }
  [[nodiscard]] std::int64_t due(Stream stream) const { return lanes_[stream].due; }
  [[nodiscard]] std::int64_t start(Stream stream) const { return lanes_[stream].start; }
  /// Precondition: the stream is idle. Of what begins at one time the copies do first.
  void begin(Stream stream, const BusFlow& flow, std::int64_t now) {
    Lane& lane = lanes_[stream];
    lane.flow = &flow;
    lane.start = now;
    lane.is_flowing = false;
    if (flow.fixed.count > 0) {
      lane.due = later(now, flow.fixed.count);
    } else {
      begin_flow(lane, now);
    }
  }
  /// The phase of the stream that is due at `now` ends. True when its operation has ended: it is idle.
  bool end_due(Stream stream, std::int64_t now) {
    Lane& lane = lanes_[stream];
    if (!lane.is_flowing) {
      begin_flow(lane, now);
      return false;
    }
    lane.flow = nullptr;
    lane.is_flowing = false;
    lane.due = never;
    return true;
  }
  /// After all that begins and ends at `now`.
  void share(std::int64_t now) {
    Lane& copy = lanes_[copies];
    Lane& other = lanes_[host];
    if (copy.is_flowing && other.is_flowing) {
      const std::size_t began_later = other.begun > copy.begun ? 1 : 0;
      const BusFlow::Rates& rates = other.flow->beside[copy.flow->number][began_later];
      set_rate(copy, rates.other, now);
      set_rate(other, rates.own, now);
    } else if (copy.is_flowing) {
      set_rate(copy, copy.flow->alone_rate, now);
    } else if (other.is_flowing) {
      set_rate(other, other.flow->alone_rate, now);
    }
  }

 private:
  struct Lane {
    const BusFlow* flow = nullptr;  // null: idle
    bool is_flowing = false, is_throttled = false;
    std::uint64_t begun = 0;  // its flow, in the order in which flows began
    double rate = 0, remaining = 0;
    std::int64_t settled = 0, start = 0, due = never;
  };
  void begin_flow(Lane& lane, std::int64_t now) {
    lane.is_flowing = true;
    lane.is_throttled = false;
    lane.begun = ++flows_;
    lane.rate = 0;
    lane.remaining = static_cast<double>(lane.flow->bytes.count);
    lane.settled = now;
    lane.due = never;  // until share()
  }
  static void set_rate(Lane& lane, double rate, std::int64_t now) {
    if (rate != lane.rate) change_rate(lane, rate, now);
  }
  static void change_rate(Lane& lane, double rate, std::int64_t now);
  [[nodiscard]] BusFlow flow_of(const CopyCost& cost, ResourceSet crosses) const;
  [[nodiscard]] BusFlow::Rates share_of(const BusFlow& first, const BusFlow& second) const;

  std::vector<double> capacity_;
  ResourceSet limited_ = 0;
  std::vector<BusFlow> copy_flows_;
  std::uint64_t flows_ = 0;
  std::array<Lane, 2> lanes_;
};

}  // namespace pregate::sim
