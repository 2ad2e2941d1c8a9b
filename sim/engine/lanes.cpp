// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/lanes.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include "sim/engine/flow_time.hpp"

namespace pregate::sim {

namespace {

std::size_t streams_of(const Platform& platform, std::size_t host) {
  return std::min(most_streams, platform.streams.size() - host * most_streams);
}

}  // namespace

Lanes::Lanes(const Platform& platform, std::size_t host)
    : due_(streams_of(platform, host), never),
      lanes_(due_.size()),
      flows_(due_.size()),
      flow_stream_(due_.size()) {
  for (const Platform::Resource& resource : platform.resources) {
    const double capacity = resource.capacity.value;
    if (!std::isfinite(capacity) || capacity < 0)
      throw std::invalid_argument("EventEngine: capacity of " + resource.name + " is not a rate");
    if (capacity > 0) limited_ |= bit(static_cast<ResourceId>(capacity_.size()));
    capacity_.push_back(capacity);
  }
}

void Lanes::begin(std::size_t stream, OpId id, Picoseconds fixed, Bytes bytes, BytesPerSecond rate,
                  ResourceSet resources, std::int64_t now) {
  Lane& lane = lanes_[stream];
  due_moved_ = true;
  lane.id = id;
  lane.bytes = bytes;
  lane.cap = rate;
  lane.resources = resources & limited_;
  if (fixed.count > 0 || bytes.count == 0) {
    lane.phase = Phase::fixed;
    due_[stream] = later(now, fixed.count);
  } else {
    begin_flow(stream, now);
  }
}

void Lanes::begin_flow(std::size_t stream, std::int64_t now) {
  Lane& lane = lanes_[stream];
  lane.phase = Phase::flowing;
  lane.shared = lane.resources != 0;
  if (!lane.shared) {
    lane.rate = lane.cap.value;
    due_[stream] = later(now, time_at(lane.bytes, lane.cap).count);
    return;
  }
  lane.throttled = false;
  lane.rate = 0;
  lane.remaining = static_cast<double>(lane.bytes.count);
  lane.settled = now;
  due_[stream] = never;  // until share_anew()
  flows_[flow_count_] = {.cap = lane.cap.value, .resources = lane.resources, .rate = 0};
  flow_stream_[flow_count_++] = stream;
  flows_changed_ = true;
}

void Lanes::end_flow(std::size_t stream) {
  const auto at = static_cast<std::size_t>(std::find(flow_stream_.begin(), flow_stream_.end(), stream) -
                                           flow_stream_.begin());
  --flow_count_;
  for (std::size_t i = at; i < flow_count_; ++i) {
    flows_[i] = flows_[i + 1];
    flow_stream_[i] = flow_stream_[i + 1];
  }
  flows_changed_ = true;
}

void Lanes::share_anew(std::int64_t now) {
  flows_changed_ = false;
  due_moved_ = true;
  share_fairly(capacity_, std::span(flows_).first(flow_count_));
  for (std::size_t i = 0; i < flow_count_; ++i) {
    const std::size_t stream = flow_stream_[i];
    Lane& lane = lanes_[stream];
    const double rate = flows_[i].rate;
    if (rate == lane.rate) continue;
    lane.remaining = bytes_left(lane.remaining, lane.rate, lane.settled, now);
    lane.settled = now;
    lane.rate = rate;
    if (!lane.throttled && rate == lane.cap.value) {
      due_[stream] = later(now, time_at(lane.bytes, lane.cap).count);
    } else {
      lane.throttled = true;
      due_[stream] = later(now, time_left(lane.remaining, rate));
    }
  }
}

std::uint64_t Lanes::end_due(std::int64_t now) {
  std::uint64_t done = 0;
  due_moved_ = true;
  for (std::size_t stream = 0; stream < lanes_.size(); ++stream) {
    if (due_[stream] != now) continue;
    Lane& lane = lanes_[stream];
    if (lane.phase == Phase::fixed && lane.bytes.count > 0) {
      begin_flow(stream, now);
      continue;
    }
    if (lane.phase == Phase::flowing && lane.shared) end_flow(stream);
    lane.phase = Phase::idle;
    due_[stream] = never;
    done |= std::uint64_t{1} << stream;
  }
  return done;
}

void Lanes::add_rates(std::span<BytesPerSecond> to) const {
  for (std::size_t stream = 0; stream < lanes_.size(); ++stream) {
    if (lanes_[stream].phase == Phase::flowing) to[stream].value = lanes_[stream].rate;
  }
}

}  // namespace pregate::sim
