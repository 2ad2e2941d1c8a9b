// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
// Copies, and experts on the CPU, which are a flow on the same bus.
#include <algorithm>
#include <cmath>

#include "models/error.hpp"
#include "sim/cost/cost_model.hpp"
#include "sim/cost/cpu_products.hpp"
#include "sim/platform/machine_topology.hpp"
#include "sim/program/copy_plan.hpp"

namespace pregate::sim {

namespace {

/// What is read by a device at one of the nodes: the node's own share where the experts lie there, else each
/// other node has a way of its own to it, and (n - 1) / n of the bytes come over n - 1 of them.
BytesPerSecond read_at_one(const HostSpec& host) {
  if (host.numa.nodes < 2) return host.memory_bandwidth;
  if (host.compute.numa != NumaUse::interleaved) return {host.memory_bandwidth.value / host.numa.nodes};
  return std::min(host.memory_bandwidth, {host.numa.bandwidth.value * host.numa.nodes});
}

/// Experts that are computed where they are: a flow on the bus of that memory.
struct Units {
  CpuProducts products;
  Picoseconds fixed, expert;
};
CopyCost computed_by(const Units& units, const LayerProfile& profile, std::int64_t experts,
                     std::uint32_t routed) {
  const Bytes bytes = profile.expert * experts;
  const auto read = static_cast<double>(bytes.count);
  const double flop = routed * profile.expert_flop_per_token;
  const BytesPerSecond rate = units.products.flow(read, flop);
  const Picoseconds fixed = units.fixed + units.expert * experts;
  return {fixed, bytes, rate, fixed + time_at(bytes, rate), units.products.waits_for_memory(read, flop)};
}

}  // namespace

CopyCost overlapped(const CopyCost& read, int depth) {
  CopyCost next = read;
  const Picoseconds bytes = read.duration - read.fixed;
  next.duration = std::max(bytes, Picoseconds{read.duration.count / depth});
  next.fixed = next.duration - bytes;
  return next;
}

void CostModel::price_copies() {
  const CopyPlan copies = copy_plan(model_, policy_.transfer.chunk, policy_.formats.copied);
  const Bytes expert = copy_plan(model_, {}).expert();
  chunks_ = copies.chunks;
  const int calls = chunks_ == 1 ? machine_.overhead.copy_calls : 1;  // a chunk is a call
  fetch_ = copy_cost(machine_.h2d, copies.chunk, policy_.transfer.pinned, calls);
  last_chunk_ = copy_cost(machine_.h2d, copies.last, policy_.transfer.pinned, calls);
  if (policy_.formats.cached < 1)
    rest_ = copy_cost(machine_.h2d, expert - share_of_expert(expert, policy_.formats.cached),
                      policy_.transfer.pinned, calls);
  write_back_ = copy_cost(machine_.d2h, expert, policy_.transfer.pinned);
  if (machine_.ssd.read_bandwidth.value > 0) {
    drive_read_ = copy_cost(drive_to_host, expert);
    next_drive_read_ = overlapped(drive_read_, machine_.ssd.read_depth);
  }
  const auto& service = policy_.miss.service;
  if (service->read_rate) {
    read_rate_ = service->read_rate(service.parameters());
    const BytesPerSecond link = copy_cost(machine_.h2d, expert, true).rate;
    if (read_rate_ > link) {
      throw InputError("policy.miss.rate",
                       "kernels cannot read faster than copies of experts go over the link",
                       "lower it, or leave it out: then they read as fast");
    }
    if (read_rate_.value <= 0) read_rate_ = link;
  }
  const int staging = policy_.transfer.staging_copies;
  if (staging > 0) {
    device_copy_ =
        machine_.overhead.device_copy * staging + time_at(expert, machine_.gpu.device_copy_bandwidth);
  }
}

CopyCost CostModel::copy_cost(const LinkSpec& link, Bytes bytes, bool page_locked, int calls) const {
  const Bytes each{calls > 1 ? bytes.count / calls : bytes.count};
  // From pageable memory the driver copies into page-locked memory first, and over the same link.
  BytesPerSecond rate =
      page_locked ? copy_rate(link, each) : std::min(link.pageable_bandwidth, fastest(link));
  // A kernel that gathers reads as fast as large copies go.
  if (calls == 0 && page_locked && !link.table.empty()) rate = link.table.back().rate;
  // A copy cannot run faster than the host memory it reads: alone it then still gets its whole rate.
  const BytesPerSecond memory = read_at_one(machine_.host);
  const bool host_bound = memory < rate;
  rate = std::min(rate, memory);
  const bool fixed_in_table = page_locked && !link.table.empty();
  const Picoseconds fixed = fixed_in_table ? Picoseconds{} : (link.latency + link.per_copy) * calls;
  return {fixed, bytes, rate, fixed + time_at(bytes, rate), host_bound};
}

CopyCost CostModel::read_through(const GpuTime& time, std::int64_t experts) const {
  const Bytes bytes = fetch_.bytes * ((chunks_ - 1) * experts) + last_chunk_.bytes * experts;
  const Picoseconds on_gpu = time.whole() - time.launches;
  const bool waits = time_at(bytes, read_rate_) >= on_gpu;
  const BytesPerSecond rate =
      waits ? read_rate_ : BytesPerSecond{static_cast<double>(bytes.count) / on_gpu.seconds()};
  return {time.launches, bytes, rate, time.launches + time_at(bytes, rate), waits};
}

CopyCost CostModel::copy_cost(LinkId link, Bytes bytes) const {
  const LinkSpec spec = link_spec(machine_, link);
  if (link != between_gpus && link != near_data_link) return copy_cost(spec, bytes, true);
  // Past the host's memory; of a near-data device into its own, at no more than that takes.
  BytesPerSecond rate = copy_rate(spec, bytes);
  if (link == near_data_link) rate = std::min(rate, read_near_data(machine_));
  const Picoseconds fixed = spec.table.empty() ? spec.latency + spec.per_copy : Picoseconds{};
  return {fixed, bytes, rate, fixed + time_at(bytes, rate), false};
}

CopyCost CostModel::activations(LinkId link, int tokens, int parts) const {
  // As the GPU computes them: in the dense format, at least 16 bits.
  const double element = std::max(2.0, model_.dense_format.bits_per_parameter / 8);
  return copy_cost(link, {static_cast<std::int64_t>(std::ceil(element * model_.d_model * tokens / parts))});
}

CopyCost CostModel::cpu_experts(int layer_class, std::int64_t experts, std::uint32_t routed) const {
  const LayerClass& layer = classes_[static_cast<std::size_t>(layer_class)];
  const HostComputeSpec& compute = machine_.host.compute;
  return computed_by({.products = layer.cpu, .fixed = compute.fixed, .expert = compute.expert}, layer.profile,
                     experts, routed);
}

/// From or to pageable memory keys and values are two copies, each moved by a thread of the host before or
/// after: the link has the one while the thread has the other (FlexGen's general_copy, arXiv 2303.06865).
CopyCost CostModel::kv_copy(LinkId link, Bytes bytes) const {
  if (bytes.count == 0) return {};
  CopyCost cost = copy_cost(link, bytes);
  if (policy_.kv_cache.pinned) return cost;
  const Bytes half{bytes.count / 2};
  const Picoseconds moved = time_at(half, link_spec(machine_, link).pageable_bandwidth);
  const Picoseconds copied = time_at(half, cost.rate);
  // moved, the longer of both, copied; of which the link's flow has twice copied.
  const Picoseconds beside = cost.fixed + moved + std::max(moved, copied) - copied;
  cost.fixed = cost.fixed + beside;
  cost.duration = cost.duration + beside;
  return cost;
}

CopyCost CostModel::cpu_attention(const KvWork& kv) const {
  if (kv.attended.count == 0) return {};
  const HostSpec& host = machine_.host;
  const double share = host.compute.numa == NumaUse::one_node ? 1.0 / host.numa.nodes : 1;  // of the cores
  const double reads = read_by_cpu(host).value * host.compute.bandwidth_efficiency;
  const double rate = host.rate.value * host.compute.compute_efficiency * share;
  const double as_arithmetic =
      kv.flop > 0 ? static_cast<double>(kv.attended.count) / (kv.flop / rate) : reads;
  const BytesPerSecond flow{std::min(reads, as_arithmetic)};
  return {host.compute.fixed, kv.attended, flow, host.compute.fixed + time_at(kv.attended, flow),
          reads <= as_arithmetic};
}

std::vector<std::uint8_t> CostModel::kv_on_host() const {
  std::vector<std::uint8_t> by_class;
  if (!policy_.kv_cache.on_host()) return by_class;
  for (const LayerClass& layer : classes_)
    by_class.push_back(layer.profile.cached_per_token().count > 0 ? 1 : 0);
  return by_class;
}

void CostModel::check_kv_cache() const {
  const auto refuse = [](const std::string& problem, const std::string& hint) {
    throw InputError("policy.kv_cache.memory", problem, hint);
  };
  if (machine_.gpu.host_memory_traffic.value > 0)
    refuse("the GPU's memory is the host's on this machine", "leave kv_cache.memory out");
  for (const LayerClass& layer : classes_) {
    const LayerProfile& profile = layer.profile;
    if (profile.cross_kv_per_token.count > 0)
      refuse("cross-attention over an encoder's output stays on the GPU",
             "choose a model without an encoder");
    if (profile.state.count > 0)
      refuse("layers with a recurrent state keep it on the GPU",
             "choose a model with softmax attention alone");
    for (const CacheCost& part : profile.cache) {
      if (part.reads_at_most > 0 || part.stride > 1)
        refuse("which cached tokens sparse attention reads is not known when they would be copied",
               "choose a model whose attention reads the whole cache, or its window");
    }
  }
}

CopyCost CostModel::near_data_experts(int layer_class, std::int64_t experts, std::uint32_t routed) const {
  const NearDataSpec& device = machine_.near_data;
  const HostSpec& host = machine_.host;
  return computed_by({.products = {.reads = read_near_data(machine_),
                                   .rate = device.rate.value > 0 ? device.rate : host.rate},
                      .fixed = device.fixed,
                      .expert = {}},
                     classes_[static_cast<std::size_t>(layer_class)].profile, experts, routed);
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
