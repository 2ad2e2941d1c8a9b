// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cost/collectives.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include "models/error.hpp"
#include "sim/cost/collective_model.hpp"
#include "sim/cost/kernel_times.hpp"

namespace pregate::sim {
namespace {

/// Of a pair's large all-gather: bytes a second each way.
double measured_link_rate(const GpuCollectives& gpu) {
  const CollectiveFit* fit = gpu.find(CollectiveKernels::nccl, Collective::all_gather);
  if (fit == nullptr) return 0;
  constexpr double bytes = 1 << 30;
  return ring_volume(Collective::all_gather, bytes, 2) /
         nccl_time(Collective::all_gather, bytes, 2, fit->constants);
}

GpuCollectives measured_for(const MachineSpec& machine) {
  constexpr double same_kind = 3;
  for (const std::string& name : collective_gpu_names()) {
    if (!is_measured_gpu(machine.gpu, load_gpu_kernels(name))) continue;
    GpuCollectives gpu = load_gpu_collectives(name);
    const double described = machine.peer.bandwidth.value, known = measured_link_rate(gpu);
    if (described > 0 && (described > same_kind * known || known > same_kind * described)) continue;
    return gpu;
  }
  return {};
}

double seconds_of(const PathSpec& path) { return (path.latency + path.per_copy).seconds(); }
double seconds_of(const LinkSpec& link) { return (link.latency + link.per_copy).seconds(); }

/// Messages that follow one another in a ring.
int ring_steps(Collective kind, int gpus) { return (kind == Collective::all_reduce ? 2 : 1) * (gpus - 1); }

}  // namespace

CollectiveTimes::CollectiveTimes(const MachineSpec& machine)
    : measured_(measured_for(machine)),
      peer_(machine.peer),
      h2d_(machine.h2d),
      d2h_(machine.d2h),
      host_memory_(machine.host.memory_bandwidth),
      network_(machine.network),
      gpus_per_host_(machine.gpu.count) {}

CollectiveSource CollectiveTimes::source() const {
  return measured_.fits.empty() ? CollectiveSource::estimate : CollectiveSource::measured;
}

void CollectiveTimes::check(int gpus, Bytes least) const {
  if (gpus < 1) throw InputError("collective", "of " + std::to_string(gpus) + " GPUs");
  if (least.count < 0) throw InputError("collective", "of " + std::to_string(least.count) + " bytes");
  const int there = gpus_per_host_ * network_.hosts;
  if (gpus > there) {
    throw InputError("collective",
                     "of " + std::to_string(gpus) + " GPUs, where the machine has " + std::to_string(there),
                     "more GPUs: --set machine.gpu.count=" + std::to_string(gpus));
  }
}

CollectiveTimes::Way CollectiveTimes::way_within(int gpus) const {
  if (peer_.bandwidth.value > 0) return {seconds_of(peer_), peer_.bandwidth.value};
  // Down and up again, piece by piece; each byte is written to the host's memory and read from it.
  const double memory = host_memory_.value / (2.0 * gpus);
  return {seconds_of(d2h_) + seconds_of(h2d_),
          std::min({d2h_.bandwidth.value, h2d_.bandwidth.value, memory})};
}

double CollectiveTimes::within_host(const CollectiveCall& call, double bytes, int gpus) const {
  if (gpus < 2 || bytes <= 0) return 0;
  if (!measured_.fits.empty())
    return collective_time(call.kind, call.library, call.launch, bytes, gpus, measured_);
  const Way way = way_within(gpus);
  return ring_steps(call.kind, gpus) * way.alpha_s + ring_volume(call.kind, bytes, gpus) / way.rate;
}

double CollectiveTimes::between_hosts(Collective kind, double bytes, int hosts) const {
  if (bytes <= 0 || hosts < 2) return 0;
  return over_network(ring_steps(kind, hosts), ring_volume(kind, bytes, hosts));
}

double CollectiveTimes::over_network(int messages, double volume) const {
  // The network joins the hosts' memories: a GPU's message goes down, across and up.
  const double alpha = (network_.latency + network_.per_copy).seconds() + seconds_of(d2h_) + seconds_of(h2d_);
  const double of_gpus = gpus_per_host_ * std::min(d2h_.bandwidth.value, h2d_.bandwidth.value);
  return messages * alpha + volume / std::min(network_.bandwidth.value, of_gpus);
}

Picoseconds CollectiveTimes::time(const CollectiveCall& call) const {
  check(call.gpus * call.lanes, call.bytes);
  if (call.gpus == 1 || call.bytes.count == 0) return {};
  const auto bytes = static_cast<double>(call.bytes.count);
  if (call.gpus * call.lanes <= gpus_per_host_) return from_seconds(within_host(call, bytes, call.gpus));
  const int here = std::max(1, gpus_per_host_ / call.lanes);
  const int hosts = (call.gpus + here - 1) / here;
  const double of_host = bytes * std::min(call.lanes, gpus_per_host_);
  CollectiveCall part = call;
  switch (call.kind) {
    case Collective::all_reduce: {
      // Each GPU sums its part within the host, then with its like in the other hosts.
      part.kind = Collective::reduce_scatter;
      const double summed = within_host(part, bytes, here);
      part.kind = Collective::all_gather;
      return from_seconds(summed + between_hosts(call.kind, of_host, hosts) + within_host(part, bytes, here));
    }
    case Collective::all_gather:
    case Collective::reduce_scatter:
      return from_seconds(within_host(call, bytes, here) + between_hosts(call.kind, of_host, hosts));
    case Collective::all_to_all:
      return from_seconds(within_host(call, bytes, here) + between_hosts(call.kind, of_host * here, hosts));
  }
  return {};
}

Picoseconds CollectiveTimes::all_to_all(const UnequalMessages& messages, int gpus, AllToAllWay way,
                                        CollectiveLaunch launch) const {
  check(gpus, std::min(messages.of_gpu, messages.between_hosts));
  if (gpus == 1 || (messages.of_gpu.count == 0 && messages.between_hosts.count == 0)) return {};
  const CollectiveCall call{.kind = Collective::all_to_all, .bytes = {}, .gpus = gpus, .launch = launch};
  const int here = std::min(gpus, gpus_per_host_);
  // Of a balanced all-to-all of p GPUs, (p-1)/p of the buffer leaves each.
  const auto buffer = here > 1 ? static_cast<double>(messages.of_gpu.count) * here / (here - 1) : 0;
  const double within = within_host(call, buffer, here);
  if (gpus <= gpus_per_host_) return from_seconds(within);
  const auto between = static_cast<double>(messages.between_hosts.count);
  if (way == AllToAllWay::flat)
    return from_seconds(std::max(within, over_network(gpus - gpus_per_host_, between)));
  const int hosts = (gpus + gpus_per_host_ - 1) / gpus_per_host_;
  return from_seconds(within + (between > 0 ? over_network(hosts - 1, between) : 0));
}

std::optional<double> CollectiveTimes::expected_error(Collective kind, CollectiveLibrary library) const {
  double sum = 0, rows = 0;
  for (const CollectiveFit& fit : measured_.fits) {
    const bool is_nccl = fit.kernels == CollectiveKernels::nccl;
    if (fit.kind != kind || (library == CollectiveLibrary::nccl && !is_nccl)) continue;
    const auto judged = static_cast<double>(fit.judged_rows);
    sum += judged * fit.mape;
    rows += judged;
  }
  return rows > 0 ? std::optional(sum / rows) : std::nullopt;
}

std::string CollectiveTimes::note() const {
  if (source() == CollectiveSource::estimate) {
    return peer_.bandwidth.value > 0
               ? "collectives: an estimate, rings over link.peer; nothing was measured on this GPU's links"
               : "collectives: an estimate, rings through the host; nothing was measured on this GPU's links";
  }
  std::string text = "collectives: measured on " + measured_.name + "; errors to expect, mean:";
  for (const CollectiveFit& fit : measured_.fits) {
    char error[16];
    std::snprintf(error, sizeof error, "%.0f %%", 100 * fit.mape);
    text += (&fit == measured_.fits.data() ? " " : ", ") + std::string(to_string(fit.kernels)) + " " +
            std::string(to_string(fit.kind)) + " " + error;
  }
  return text + (network_.hosts > 1 ? "; between hosts an estimate" : "");
}

}  // namespace pregate::sim
