// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Copies, and experts on the CPU, which are a flow on the same bus.
#include <algorithm>
#include <cmath>

#include "sim/cost/cost_model.hpp"

namespace pregate::sim {

CopyCost CostModel::copy_cost(const LinkSpec& link, Bytes bytes, bool pinned) const {
  BytesPerSecond rate = pinned ? copy_rate(link, bytes) : link.pageable_bandwidth;
  // A copy cannot run faster than the host memory it reads: alone it then still gets its whole rate.
  const bool host_bound = machine_.host.memory_bandwidth < rate;
  rate = std::min(rate, machine_.host.memory_bandwidth);
  const bool fixed_in_table = pinned && !link.table.empty();
  const Picoseconds fixed = fixed_in_table ? Picoseconds{} : link.latency + link.per_copy;
  return {fixed, bytes, rate, fixed + time_at(bytes, rate), host_bound};
}

CopyCost CostModel::cpu_experts(int layer_class, std::int64_t experts, std::uint32_t routed) const {
  const LayerProfile& profile = classes_[static_cast<std::size_t>(layer_class)].profile;
  const HostSpec& host = machine_.host;
  HostComputeSpec::Efficiency efficiency{host.compute.bandwidth_efficiency, host.compute.compute_efficiency};
  const auto own = host.compute.formats.find(profile.expert_format);
  if (own != host.compute.formats.end()) efficiency = own->second;
  const Bytes bytes = profile.expert * experts;
  const double arithmetic = host.compute.fixed.seconds() +
                            routed * profile.expert_flop_per_token / (host.rate.value * efficiency.compute);
  const double memory_rate = host.memory_bandwidth.value * efficiency.bandwidth;
  const double arithmetic_rate = static_cast<double>(bytes.count) / arithmetic;
  const BytesPerSecond rate{std::min(memory_rate, arithmetic_rate)};
  return {{}, bytes, rate, time_at(bytes, rate), memory_rate <= arithmetic_rate};
}

BytesPerSecond copy_rate(const LinkSpec& link, Bytes bytes) {
  if (link.table.empty()) return link.bandwidth;
  const auto above = std::lower_bound(link.table.begin(), link.table.end(), bytes,
                                      [](const CopyPoint& point, Bytes size) { return point.size < size; });
  if (above == link.table.begin()) return link.table.front().rate;
  if (above == link.table.end()) return link.table.back().rate;
  const CopyPoint& below = *(above - 1);
  const auto log2 = [](Bytes size) { return std::log2(static_cast<double>(size.count)); };
  const double share = (log2(bytes) - log2(below.size)) / (log2(above->size) - log2(below.size));
  return {std::lerp(below.rate.value, above->rate.value, share)};
}

}  // namespace pregate::sim
