// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/policy/policy.hpp"

#include <algorithm>

#include "models/error.hpp"
#include "models/fields/read_fields.hpp"
#include "sim/cache/eviction.hpp"
#include "sim/policy/lookahead_checks.hpp"
#include "sim/policy/policy_choices.hpp"
#include "sim/policy/policy_fields.hpp"

namespace pregate {
namespace {

void validate_start(const PolicySpec& policy, const std::string& where) {
  if (policy.cache.split == CacheSplit::budgets && policy.cache.scope == CacheScope::global) {
    throw InputError(where, "cache.split = 'budgets' splits slots over layers, which share them all",
                     "set cache.scope to layer, or remove cache.split");
  }
  if (policy.cache.split != CacheSplit::budgets && !policy.cache.budgets.empty()) {
    throw InputError(where, "cache.budgets means nothing with this cache.split",
                     "set cache.split to budgets");
  }
  if (policy.cache.profile.empty() || policy.cache.capacity.kind != CapacityKind::none) return;
  throw InputError(where, "cache.profile fills a cache, and there is none",
                   "set cache.capacity (--cache), or remove cache.profile");
}

/// What becomes of a miss, and of what leaves the GPU.
void validate_misses(const PolicySpec& policy, const std::string& where) {
  if (policy.transfer.write_back == WriteBack::swap && !policy.transfer.queue->in_order()) {
    throw InputError(where, "transfer.write_back = 'swap' needs copies in the order of issue",
                     "an expert must be gone before another overwrites its slot: set transfer.queue to fifo");
  }
  const bool on_cpu = policy.miss.service->uses_cpu, fetches = policy.miss.service->fetches;
  const bool background = policy.miss.admission == MissAdmission::background;
  const bool admits = background || policy.miss.service->copies_too;
  // A fetched miss is admitted by its fetch, whatever miss.admission says.
  if (policy.miss.service->fetches_all()) return;
  const std::string what = on_cpu ? "compute on the CPU" : "serve by '" + policy.miss.service->name + "'";
  if (policy.placement.kind->keeps_all) {
    throw InputError(where,
                     "placement.kind = '" + policy.placement.kind->name + "' leaves no miss to " + what,
                     "remove miss.service or choose another placement");
  }
  const bool reads = static_cast<bool>(policy.miss.service->read_rate);
  if ((reads || policy.miss.service->uses_near_data) &&
      policy.host_cache.capacity.kind != CapacityKind::none) {
    throw InputError(where,
                     "miss.service = '" + policy.miss.service->name +
                         "' needs every expert in memory, and with host_cache a drive has some",
                     "remove host_cache.capacity or choose another miss.service");
  }
  const bool cached = policy.cache.capacity.kind != CapacityKind::none;
  const auto& evictions = cache::eviction_registry().entries();
  const bool swaps = std::any_of(evictions.begin(), evictions.end(), [&](const cache::EvictionEntry& each) {
    return each.swaps && (each.starts_full || !policy.cache.profile.empty()) &&
           each.name == policy.cache.eviction;
  });
  const bool hits_by_decree = policy.cache.hit_rate.has_value();  // whatever enters
  if (cached && !admits && !fetches && !swaps && !hits_by_decree) {
    throw InputError(where,
                     std::string("nothing would ever enter the cache: its misses are ") +
                         (on_cpu ? "computed on the CPU" : "not copied"),
                     on_cpu ? "set miss.admission to background, or cache.capacity to 0 (--cache 0)"
                            : "set cache.capacity to 0 (--cache 0), or miss.service to fetch");
  }
  if (!cached && admits) {
    throw InputError(where,
                     background ? "miss.admission = 'background' needs a cache"
                                : "miss.service = '" + policy.miss.service->name + "' needs a cache",
                     background ? "set cache.capacity (--cache), or miss.admission to none"
                                : "set cache.capacity (--cache), or miss.service to compute-on-cpu");
  }
  if (background && !on_cpu) {
    throw InputError(where, "miss.admission = 'background' is about what the CPU computes",
                     "remove miss.admission");
  }
  if (background && policy.miss.service->copies_too) {
    throw InputError(where, "miss.service = '" + policy.miss.service->name + "' says itself what is copied",
                     "remove miss.admission");
  }
  if (policy.lookahead.predictor->is_whole_layer) {
    throw InputError(where,
                     "the lookahead '" + policy.lookahead.predictor->name + "' leaves no miss to " + what,
                     "remove miss.service or choose another lookahead");
  }
}

/// How the GPU computes what is copied.
void validate_compute(const PolicySpec& policy, const std::string& where) {
  const auto& transfer = policy.transfer;
  if (policy.compute.experts == ExpertCompute::by_chunk) {
    if (transfer.chunk.count == 0) {
      throw InputError(where, "compute.experts = 'by-chunk' needs copies in chunks",
                       "set transfer.chunk, e.g. to a third of an expert");
    }
    if (transfer.staging_copies > 0 || !policy.formats.low.empty()) {
      throw InputError(
          where, "compute.experts = 'by-chunk' reads chunks where they arrive, in the model's own format",
          "set transfer.staging_copies to 0 and remove formats.low");
    }
  }
  if (transfer.buffers == 0) return;
  if (policy.lookahead.predictor->predicts() || !policy.miss.service->fetches_all()) {
    throw InputError(where,
                     "transfer.buffers is about experts that are all fetched by the layer that needs them",
                     "remove transfer.buffers, or lookahead.kind and miss.service");
  }
  if (policy.placement.kind->keeps_all)
    throw InputError(where, "transfer.buffers means nothing where every expert is resident",
                     "remove transfer.buffers");
}

void validate_exclusive(const PolicySpec& policy, const std::string& where) {
  const auto refuse = [&](const std::string& problem, const std::string& hint) {
    throw InputError(where, "host_cache.exclusive " + problem, hint);
  };
  if (policy.transfer.write_back != WriteBack::swap)
    refuse("needs experts that come back from the GPU", "set transfer.write_back to swap");
  if (policy.host_cache.eviction != "lru" || policy.host_cache.scope != CacheScope::global)
    refuse("drops who came back first, of all layers", "remove host_cache.eviction and host_cache.scope");
  if (policy.host_cache.preload > 0)
    refuse("has no place for what is read ahead", "remove host_cache.preload");
  if (!policy.miss.service->fetches_all())
    refuse("needs misses that are all fetched", "set miss.service to fetch");
  if (policy.lookahead.predictor->predicts() &&
      (policy.prefetch.prefetcher->needs_clock || policy.prefetch.wrong == WrongGuesses::cancel))
    refuse("does not go with copies that are taken back",
           "set prefetch.kind to at-distance and prefetch.wrong to keep");
}

void validate_host_cache(const PolicySpec& policy, const std::string& where) {
  const auto& held = policy.host_cache;
  if (!is_sound(held.capacity)) throw InputError(where, "host_cache.capacity is out of range", capacity_hint);
  if (held.capacity.kind == CapacityKind::none) return;
  const cache::EvictionEntry& eviction =
      cache::eviction_registry().find(held.eviction, "policy.host_cache.eviction");
  if (cache::eviction_registry().find(policy.cache.eviction, "policy.cache.eviction").swaps &&
      policy.cache.capacity.kind != CapacityKind::none) {
    throw InputError(where,
                     "cache.eviction = '" + policy.cache.eviction +
                         "' exchanges experts out of the host's memory, which with host_cache lacks some",
                     "remove host_cache.capacity or choose another cache.eviction");
  }
  if (eviction.watches) {
    throw InputError(where,
                     "host_cache.eviction = '" + eviction.name +
                         "' would need to see the gates, and the host's memory sees what the GPU lacks",
                     "set it to another, e.g. lru");
  }
  if (eviction.is_decreed != held.hit_rate.has_value()) {
    throw InputError(where,
                     held.hit_rate ? "host_cache.hit_rate means nothing with this host_cache.eviction"
                                   : "host_cache.eviction = '" + eviction.name +
                                         "' needs the rate at which the host's memory hits",
                     held.hit_rate ? "set host_cache.eviction to given-rate, or remove host_cache.hit_rate"
                                   : "e.g. --set policy.host_cache.hit_rate=0.7");
  }
  if (eviction.needs_future) {
    throw InputError(
        where, "host_cache.eviction = '" + eviction.name + "' would need to know what the GPU will lack",
        "set it to one that decides by what was, e.g. lru");
  }
  if (policy.placement.kind->keeps_all) {
    throw InputError(
        where, "placement.kind = '" + policy.placement.kind->name + "' leaves nothing to read from a drive",
        "remove host_cache.capacity or choose another placement");
  }
  const bool swaps = policy.transfer.write_back == WriteBack::swap;
  if (swaps && !held.exclusive) {
    throw InputError(where, "transfer.write_back = 'swap' keeps each expert in one place, host_cache a copy",
                     "remove one of the two, or set host_cache.exclusive to true");
  }
  if (held.exclusive) validate_exclusive(policy, where);
  if (held.preload > 0 && eviction.is_decreed) {
    throw InputError(where, "host_cache.preload cannot make hits where host_cache.hit_rate gives them",
                     "remove one of the two");
  }
}

/// What is not done micro-batch by micro-batch.
void validate_micro_batches(const PolicySpec& policy, const std::string& where) {
  if (policy.compute.micro_batches == 1) return;
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    throw InputError(where, "compute.micro_batches goes with " + what, hint + ", or remove it");
  };
  if (!policy.miss.service->fetches_all() && !policy.placement.kind->keeps_all)
    refuse("misses that are all fetched", "set miss.service to fetch");
  if (!policy.formats.low.empty()) refuse("one weight format", "remove formats.low");
  if (policy.transfer.staging_copies > 0)
    refuse("experts that are computed where they are copied to", "remove transfer.staging_copies");
  if (policy.transfer.announced == AnnouncedCopies::one_layer)
    refuse("copies that are issued when the ids are known", "remove transfer.announced");
}

/// A part of each expert in the cache.
void validate_cached_parts(const PolicySpec& policy, const std::string& where) {
  if (policy.formats.cached >= 1) return;
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    throw InputError(where, "formats.cached goes with " + what, hint + ", or remove it");
  };
  const auto& eviction = cache::eviction_registry().find(policy.cache.eviction, "policy.cache.eviction");
  if (policy.cache.capacity.kind == CapacityKind::none) refuse("a cache", "set cache.capacity (--cache)");
  if (eviction.swaps || eviction.is_decreed || !policy.cache.profile.empty())
    refuse("a cache that misses fill", "choose another cache.eviction and remove cache.profile");
  if (!policy.miss.service->fetches_all()) refuse("misses that are all fetched", "set miss.service to fetch");
  if (policy.formats.copied < 1 || policy.formats.held > 0 || !policy.formats.low.empty())
    refuse("whole experts in one format", "remove formats.copied, formats.held and formats.low");
  if (policy.transfer.chunk.count > 0 || policy.transfer.staging_copies > 0 ||
      policy.transfer.write_back != WriteBack::none)
    refuse("copies of one piece into working buffers",
           "remove transfer.chunk, transfer.staging_copies and transfer.write_back");
  if (policy.compute.micro_batches > 1 || policy.transfer.buffers > 0)
    refuse("buffers for all that a pass activates", "remove compute.micro_batches and transfer.buffers");
  if (policy.host_cache.capacity.kind != CapacityKind::none)
    refuse("experts in the host's memory", "remove host_cache.capacity");
  const auto& predictor = *policy.lookahead.predictor;
  if (predictor.predicts() && (predictor.is_whole_layer || predictor.names_later_steps))
    refuse("a lookahead that names experts of this step", "choose another lookahead.kind");
}

/// Attention that reads the host's memory, and a host that waits for copies.
void validate_host_attention(const PolicySpec& policy, const std::string& where) {
  if (policy.kv_cache.attention == AttentionPlace::cpu && !policy.kv_cache.on_host()) {
    throw InputError(where, "kv_cache.attention = 'cpu' attends to a KV cache in the host's memory",
                     "set kv_cache.memory to host");
  }
  if (policy.kv_cache.on_host() && !policy.transfer.queue->in_order()) {
    throw InputError(where, "kv_cache.memory = 'host' has copies in the order of issue",
                     "set transfer.queue to fifo, or remove it");
  }
  if (policy.compute.synchronized == Synchronized::never) return;
  if (policy.compute.experts != ExpertCompute::grouped) {
    throw InputError(where, "compute.synchronized goes from one micro-batch's experts to the next one's",
                     "set compute.experts to grouped, or remove it");
  }
  if (!policy.transfer.queue->in_order()) {
    throw InputError(where, "compute.synchronized waits for copies in the order of issue",
                     "set transfer.queue to fifo, or remove it");
  }
}

}  // namespace

std::optional<std::string> why_not_exact(const PolicySpec& policy) {
  const auto& predictor = policy.lookahead.predictor;
  if (predictor->is_exact == nullptr || predictor->is_exact(predictor.parameters())) return std::nullopt;
  return "what the lookahead '" + predictor->name + "' foretells is computed, not what the gates chose";
}

void validate(const PolicySpec& policy, const std::string& where) {
  check_ranges(policy_fields(), policy, where);
  check_lookahead(policy, where);
  check_prefetch(policy, where);
  validate_start(policy, where);
  validate_misses(policy, where);
  validate_compute(policy, where);
  validate_host_cache(policy, where);
  validate_micro_batches(policy, where);
  validate_cached_parts(policy, where);
  validate_host_attention(policy, where);
  const auto& formats = policy.formats;
  if ((formats.copied < 1 || formats.held > 0) && policy.placement.kind->keeps_all) {
    throw InputError(where, "formats.copied and formats.held are about experts that are copied",
                     "remove them or choose another placement");
  }
  if ((formats.copied < 1 || formats.held > 0) && !formats.low.empty()) {
    throw InputError(where, "formats.low copies whole experts, formats.copied and formats.held parts of them",
                     "remove the one or the others");
  }
  if (formats.low.find(',') != std::string::npos) {
    throw InputError(where,
                     "formats.low names one format: experts have the model's own and one more, not three",
                     "choose the model's own with --weights and name the other, e.g. formats.low = \"q2_k\"");
  }
  if (!is_sound(policy.formats.low_capacity))
    throw InputError(where, "formats.low_capacity is out of range", capacity_hint);
  if (!policy.formats.low.empty() &&
      (policy.host_cache.capacity.kind != CapacityKind::none ||
       policy.transfer.write_back == WriteBack::swap || policy.transfer.staging_copies > 0)) {
    throw InputError(where, "formats.low goes with experts in the host's memory that just leave",
                     "remove formats.low, or host_cache.capacity, transfer.write_back and staging_copies");
  }
  if (!is_sound(policy.cache.capacity))
    throw InputError(where, "cache.capacity is out of range", capacity_hint);
  if (policy.cache.eviction.empty())
    throw InputError(where, "cache.eviction is empty", "e.g. eviction = \"lru\"");
}

}  // namespace pregate
