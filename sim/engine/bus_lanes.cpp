// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/engine/bus_lanes.hpp"

#include "sim/engine/fair_share.hpp"

namespace pregate::sim {

BusLanes::BusLanes(const Platform& platform) {
  for (const Platform::Resource& resource : platform.resources) {
    if (resource.capacity.value > 0) limited_ |= bit(static_cast<ResourceId>(capacity_.size()));
    capacity_.push_back(resource.capacity.value);
  }
}

/// Flows that cross nothing limited run at their own rate whatever others do.
BusFlow::Rates BusLanes::share_of(const BusFlow& first, const BusFlow& second) const {
  if (first.crosses == 0 || second.crosses == 0) return {first.alone_rate, second.alone_rate};
  std::array<Flow, 2> flows{Flow{.cap = first.rate.value, .resources = first.crosses, .rate = 0},
                            Flow{.cap = second.rate.value, .resources = second.crosses, .rate = 0}};
  share_fairly(capacity_, flows);
  return {flows[0].rate, flows[1].rate};
}

BusFlow BusLanes::flow_of(const CopyCost& cost, ResourceSet crosses) const {
  BusFlow flow{.fixed = cost.fixed,
               .bytes = cost.bytes,
               .rate = cost.rate,
               .crosses = crosses & limited_,
               .alone = time_at(cost.bytes, cost.rate)};
  std::array<Flow, 1> alone{Flow{.cap = cost.rate.value, .resources = flow.crosses, .rate = 0}};
  share_fairly(capacity_, alone);
  flow.alone_rate = alone[0].rate;
  return flow;
}

BusFlow BusLanes::copy_flow(const CopyCost& cost, ResourceSet crosses, std::size_t number) {
  BusFlow flow = flow_of(cost, crosses);
  flow.number = number;
  copy_flows_.push_back(flow);
  return flow;
}

BusFlow BusLanes::host_flow(const CopyCost& cost, ResourceSet crosses) const {
  BusFlow flow = flow_of(cost, crosses);
  for (const BusFlow& copy : copy_flows_) {
    const BusFlow::Rates before = share_of(flow, copy), after = share_of(copy, flow);
    flow.beside[copy.number] = {before, {after.other, after.own}};
  }
  return flow;
}

void BusLanes::change_rate(Lane& lane, double rate, std::int64_t now) {
  lane.remaining = bytes_left(lane.remaining, lane.rate, lane.settled, now);
  lane.settled = now;
  lane.rate = rate;
  if (!lane.is_throttled && rate == lane.flow->rate.value) {
    lane.due = later(now, lane.flow->alone.count);
  } else {
    lane.is_throttled = true;
    lane.due = later(now, time_left(lane.remaining, rate));
  }
}

}  // namespace pregate::sim
