// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "runtime/executable.hpp"

#include "models/error.hpp"
#include "runtime/shapes.hpp"
#include "sim/cache/eviction.hpp"

namespace pregate::runtime {

namespace {

using Why = std::optional<Refusal>;

Why over_gpus(const PolicySpec& policy) {
  if (policy.parallel.kind != Node::Kind::table) return {};
  return Refusal{"a device executes on one GPU, and it is of several ([parallel])", "simulate it"};
}

Why in_transfer(const PolicySpec& policy) {
  if (policy.transfer.announced == AnnouncedCopies::one_layer) {
    return Refusal{"the host of a device issues what is announced at once (transfer.announced)",
                   "--set policy.transfer.announced=queued"};
  }
  if (policy.transfer.write_back == WriteBack::swap && policy.miss.service->uses_cpu) {
    return Refusal{"the CPU would read experts that are being written back (transfer.write_back)",
                   "--set policy.transfer.write_back=none, or --set policy.miss.service=fetch"};
  }
  return {};
}

Why in_compute(const PolicySpec& policy) {
  if (policy.compute.synchronized != Synchronized::never) {
    return Refusal{"a device's kernels wait for what they read (compute.synchronized)",
                   "--set policy.compute.synchronized=never"};
  }
  if (policy.compute.host_work.count > 0) {
    return Refusal{"the host of a device takes the time that it takes (compute.host_work)",
                   "--set policy.compute.host_work=0"};
  }
  if (policy.kv_cache.on_host()) {
    return Refusal{"a device keeps a KV cache in its own memory (kv_cache.memory)",
                   "--set policy.kv_cache.memory=gpu"};
  }
  if (policy.kv_cache.repeated) {
    return Refusal{"attention of a device shares keys and values among heads (kv_cache.repeated)",
                   "--set policy.kv_cache.repeated=false"};
  }
  return {};
}

Why in_formats(const PolicySpec& policy) {
  if (!policy.formats.low.empty() && !is_unpacked(policy.formats.low)) {
    return Refusal{"a device unpacks q8_0, q4_k and mxfp4, not " + policy.formats.low + " (formats.low)",
                   "--set policy.formats.low=mxfp4"};
  }
  if (policy.formats.cached < 1)
    return Refusal{"a device's cache holds whole experts (formats.cached)", "--set policy.formats.cached=1"};
  if (policy.formats.copied < 1 || policy.formats.held > 0)
    return Refusal{"a device copies whole experts (formats.copied, formats.held)",
                   "simulate it, or leave formats out"};
  return {};
}

Why in_misses(const PolicySpec& policy) {
  if (policy.compute.experts == ExpertCompute::by_chunk)
    return Refusal{"a device's kernels read whole experts (compute.experts = by-chunk)",
                   "--set policy.compute.experts=per-expert"};
  const auto& service = *policy.miss.service;
  const auto refusal = [&](const std::string& why) {
    return Refusal{why + " (miss.service = " + service.name + ")",
                   "simulate it, or --set policy.miss.service=fetch"};
  };
  if (service.substitutes) return refusal("a device computes the experts that the trace names and no others");
  if (service.uses_near_data) return refusal("no device has another one beside the host's memory");
  if (service.read_rate) return refusal("kernels of a device read experts from its own memory alone");
  return {};
}

Why in_lookahead(const PolicySpec& policy) {
  if (!policy.lookahead.predictor->predicts()) return {};
  if (policy.lookahead.cost.count > 0) {
    return Refusal{
        "a device foretells by the trace and runs no predictor that would cost time (lookahead.cost)",
        "--set policy.lookahead.cost=0"};
  }
  if (policy.prefetch.prefetcher->computes_ahead)
    return Refusal{"a device computes experts with their own layer's input (prefetch.kind)",
                   "--set policy.prefetch.kind=at-distance"};
  if (policy.prefetch.prefetcher->crosses_steps)
    return Refusal{"a device's copies are for the pass in which they begin (prefetch.kind)",
                   "--set policy.prefetch.kind=horizons"};
  if (const auto why = why_not_exact(policy))
    return Refusal{*why + ", and a device computes what the trace says", "simulate it"};
  return {};
}

Why in_caches(const PolicySpec& policy) {
  const auto& held = policy.host_cache;
  if (held.capacity.kind != CapacityKind::none) {
    if (held.exclusive) {
      return Refusal{
          "an expert that leaves a device is not there any more for host memory to hold "
          "(host_cache.exclusive)",
          "--set policy.host_cache.exclusive=false"};
    }
    if (held.preload > 0)
      return Refusal{"a device reads no layers ahead from the drive (host_cache.preload)",
                     "--set policy.host_cache.preload=0"};
    if (held.hit_rate ||
        cache::eviction_registry().find(held.eviction, "policy.host_cache.eviction").is_decreed)
      return Refusal{"host memory cannot hit at a given rate (host_cache.eviction)", "simulate it"};
    if (policy.transfer.write_back == WriteBack::swap)
      return Refusal{"experts are not written back to a drive (transfer.write_back)",
                     "--set policy.transfer.write_back=none"};
  }
  const auto& eviction = cache::eviction_registry().find(policy.cache.eviction, "policy.cache.eviction");
  if (policy.cache.hit_rate || eviction.is_decreed) {
    return Refusal{"a device cannot hit at a given rate: the experts would not be there (cache.eviction = " +
                       eviction.name + ")",
                   "simulate it, or choose another --eviction (pregate list evictions)"};
  }
  return {};
}

}  // namespace

std::optional<Refusal> why_not_executable(const PolicySpec& policy) {
  for (const auto check :
       {over_gpus, in_caches, in_lookahead, in_misses, in_formats, in_transfer, in_compute}) {
    if (Why why = check(policy)) return why;
  }
  return {};
}

void check_executable(const PolicySpec& policy) {
  if (const auto why = why_not_executable(policy))
    throw InputError("policy " + policy.name, why->why, why->hint);
}

}  // namespace pregate::runtime
