// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/policy/policy_fields.hpp"

#include <algorithm>

#include "sim/policy/eviction_fields.hpp"
#include "sim/policy/part_fields.hpp"
#include "sim/policy/policy_choices.hpp"

namespace pregate {
namespace {

using Placement = decltype(PolicySpec::placement);
using Cache = CacheSpec;
using HostCache = PolicySpec::HostCache;
using Formats = decltype(PolicySpec::formats);
using Lookahead = decltype(PolicySpec::lookahead);
using Prefetch = decltype(PolicySpec::prefetch);
using Transfer = decltype(PolicySpec::transfer);
using Compute = decltype(PolicySpec::compute);
using KvCache = decltype(PolicySpec::kv_cache);
using Miss = decltype(PolicySpec::miss);

const Range unit_interval{0, 1, "from 0 to 1"};

Fields<Placement> placement(const sim::Parts& parts) {
  Fields<Placement> fields;
  add_part(fields, "kind", &Placement::kind, parts.placements, "where experts live for the whole run");
  add_part_parameters(fields, "kind", &Placement::kind, parts.placements);
  return fields;
}

/// A file; without a value where there is none.
Field& add_file(Fields<Cache>& fields, const std::string& key, std::string Cache::*member, std::string help) {
  Field field;
  field.key = field.shown = field.json = key;
  field.help = std::move(help);
  return fields.add_entry(
      {std::move(field),
       [member](const Cache& cache) { return (cache.*member).empty() ? Node{} : node_of(cache.*member); },
       [member](Cache& cache, TableReader& table, const Field& its) {
         cache.*member = table.text(its.name());
       }});
}

Fields<Cache> cache_fields(const sim::Parts& parts) {
  Fields<Cache> fields;
  fields.add("scope", &Cache::scope, "whose experts share the capacity");
  fields.add("capacity", &Cache::capacity,
             "slots are of a layer, or of all with scope global; the others of all");
  fields.add("split", &Cache::split, "how a size or share is split over the layers");
  fields.add("eviction", &Cache::eviction, "which expert leaves a full cache")
      .listed_by("pregate list evictions");
  add_part(fields, "admission", &Cache::admission, parts.admissions, "which misses enter the cache");
  fields.add("seed", &Cache::seed, "of what the eviction draws").only_with(with_evictions_that_draw());
  fields.add("hit_rate", &Cache::hit_rate, "share of the look-ups that hit", unit_interval)
      .only_with({"eviction", {"given-rate"}, ""});
  add_file(fields, "budgets", &Cache::budgets,
           "file of the trace whose misses the split goes by; without it the run's own")
      .only_with({"split", {"budgets"}, ""});
  add_file(fields, "profile", &Cache::profile,
           "file of a trace whose most activated experts are there at the start");
  add_eviction_parameters(fields);
  add_part_parameters(fields, "admission", &Cache::admission, parts.admissions);
  return fields;
}

Fields<HostCache> host_cache() {
  Fields<HostCache> fields;
  fields.add("capacity", &HostCache::capacity,
             "experts in the host's memory, a drive holding all; none: all are in the host's memory");
  const auto behind_a_drive = Condition{"capacity", {"25%"}, "a host_cache.capacity"};
  fields.add("scope", &HostCache::scope, "whose experts share the capacity").only_with(behind_a_drive);
  fields.add("eviction", &HostCache::eviction, "which expert leaves the host's memory")
      .listed_by("pregate list evictions")
      .only_with(behind_a_drive);
  fields.add("seed", &HostCache::seed, "of what the eviction draws").only_with(with_evictions_that_draw());
  fields.add("hit_rate", &HostCache::hit_rate, "share of the host's look-ups that hit", unit_interval)
      .only_with({"eviction", {"given-rate"}, ""});
  fields
      .add_where_set("exclusive", &HostCache::exclusive,
                     "an expert that goes to the GPU leaves the host's memory, and comes back")
      .only_with(behind_a_drive);
  fields
      .add_where_set("preload", &HostCache::preload,
                     "MoE layers ahead of the one that computes whose experts are all read",
                     Range{0, 10'000, "from 0 to 10000"})
      .or_zero("none")
      .only_with(behind_a_drive);
  add_eviction_parameters(fields, [](const cache::EvictionEntry& entry) { return !entry.watches; });
  return fields;
}

/// Not shown where there is one format.
Fields<Formats> formats() {
  Fields<Formats> fields;
  const Condition with_low{"low", {"q4_k"}, "a formats.low"};
  fields
      .add_where_set("low", &Formats::low, "a second weight format of experts, for services that ask for it")
      .listed_by("pregate list weight-formats");
  fields.add_where_set("low_capacity", &Formats::low_capacity, "experts in it that the GPU caches")
      .only_with(with_low);
  fields
      .add_where_set("degrade", &Formats::degrade,
                     "one that is there in it serves who asks for the model's own")
      .only_with(with_low);
  fields
      .add_where_set("unpack", &Formats::unpack,
                     "at which the GPU unpacks experts, those in formats.low where there are any, before it "
                     "computes them",
                     Range{1e6, 1e15, "from 1 MB/s to 1000 TB/s"})
      .or_zero("the kernels read them as they are");
  fields.add_where_set("copied", &Formats::copied,
                       "of an expert's bytes, what a copy brings and a slot holds",
                       Range{0.001, 1, "from 0.001 to 1"});
  fields.add_where_set("held", &Formats::held,
                       "of the bytes of every expert, what the GPU has for the whole run", unit_interval);
  fields.add_where_set("cached", &Formats::cached,
                       "of an expert's bytes, what the cache holds of it: a hit copies the rest",
                       Range{0.001, 1, "from 0.001 to 1"});
  return fields;
}

Fields<Lookahead> lookahead(const sim::Parts& parts) {
  Fields<Lookahead> fields;
  add_part(fields, "kind", &Lookahead::predictor, parts.predictors,
           "what is known early of a later MoE layer");
  std::vector<std::string> ahead;
  for (const sim::PredictorEntry& each : parts.predictors.entries()) {
    if (each.predicts()) ahead.push_back(each.name);
  }
  fields
      .add("distance", &Lookahead::distance, "how many MoE layers later", Range{1, 10'000, "from 1 to 10000"})
      .only_with({"kind", ahead, "a lookahead"});
  fields
      .add_where_set("cost", &Lookahead::cost,
                     "time of a prediction, each time that something may be announced",
                     Range{0, 10, "from 0 s to 10 s"})
      .or_zero("nothing")
      .only_with({"kind", ahead, "a lookahead"});
  fields.add_where_set("cost_stream", &Lookahead::cost_stream, "where that time is spent")
      .only_with({"kind", ahead, "a lookahead"});
  add_part_parameters(fields, "kind", &Lookahead::predictor, parts.predictors);
  return fields;
}

Fields<Prefetch> prefetch(const sim::Parts& parts) {
  Fields<Prefetch> fields;
  add_part(fields, "kind", &Prefetch::prefetcher, parts.prefetchers,
           "what of that is fetched early, and when");
  add_part_parameters(fields, "kind", &Prefetch::prefetcher, parts.prefetchers);
  fields.add_where_set("wrong", &Prefetch::wrong,
                       "what becomes of an expert that its layer's gate did not choose");
  return fields;
}

Fields<Transfer> transfer(const sim::Parts& parts) {
  Fields<Transfer> fields;
  fields
      .add("chunk", &Transfer::chunk, "copies are cut into pieces of this size",
           Range{4096, 1e18, "at least 4 KiB, as less costs more to issue than to copy"})
      .or_zero("whole experts");
  add_part(fields, "queue", &Transfer::queue, parts.transfers, "order of the copies");
  fields.add("announced", &Transfer::announced, "when the host issues what is fetched ahead");
  fields
      .add_where_set(
          "buffers", &Transfer::buffers,
          "working buffers beside the cache: a layer that misses more experts computes them in turns",
          Range{0, 65536, "from 0 to 65536"})
      .or_zero("as many as a layer may need");
  fields.add("staging_copies", &Transfer::staging_copies,
             "device copies into working buffers after the host copy", Range{0, 16, "from 0 to 16"});
  fields.add("pinned", &Transfer::pinned, "the experts lie in page-locked host memory");
  fields.add("write_back", &Transfer::write_back, "what becomes of an expert that leaves the GPU");
  add_part_parameters(fields, "queue", &Transfer::queue, parts.transfers);
  return fields;
}

Fields<Compute> compute() {
  Fields<Compute> fields;
  fields.add("experts", &Compute::experts, "how the GPU computes the experts of a layer");
  fields.add_where_set(
      "micro_batches", &Compute::micro_batches,
      "parts that a pass is cut into, by sequences; a layer's experts are fetched once for all",
      Range{1, 1024, "from 1 to 1024"});
  fields.add_where_set("synchronized", &Compute::synchronized,
                       "whether the host goes from one micro-batch to the next while copies are under way");
  fields
      .add_where_set("host_work", &Compute::host_work,
                     "of the host for each micro-batch in each layer, while the GPU waits",
                     Range{0, 10, "from 0 s to 10 s"})
      .or_zero("nothing beyond the software's launches");
  return fields;
}

Fields<KvCache> kv_cache() {
  Fields<KvCache> fields;
  fields.add_where_set("memory", &KvCache::memory, "whose memory holds the KV cache of self-attention");
  fields.add_where_set("attention", &KvCache::attention, "what attends to it in decode steps")
      .only_with({"memory", {"host"}, ""});
  fields
      .add_where_set("pinned", &KvCache::pinned,
                     "it lies in page-locked memory; else the host moves it there first")
      .only_with({"memory", {"host"}, ""});
  fields.add_where_set("repeated", &KvCache::repeated,
                       "keys and values that query heads share are written out for each of them first");
  return fields;
}

Fields<Miss> miss(const sim::Parts& parts) {
  Fields<Miss> fields;
  add_part(fields, "service", &Miss::service, parts.miss_services,
           "what is done about an activated expert that is not on the GPU");
  std::vector<std::string> on_cpu;
  for (const sim::MissServiceEntry& each : parts.miss_services.entries()) {
    if (each.uses_cpu) on_cpu.push_back(each.name);
  }
  fields.add("admission", &Miss::admission, "whether what the CPU computes is copied too, for next time")
      .only_with({"service", on_cpu, ""});
  add_part_parameters(fields, "service", &Miss::service, parts.miss_services);
  return fields;
}

}  // namespace

Fields<PolicySpec> policy_fields(const sim::Parts& parts) {
  Fields<PolicySpec> fields;
  fields.add("description", &PolicySpec::description, "a line, for pregate list policies");
  fields.add("source", &PolicySpec::source, "where it was published");
  fields.add("software", &PolicySpec::software, "that runs it, where --software says nothing")
      .listed_by("pregate list software");
  fields.add_table("placement", &PolicySpec::placement, placement(parts));
  fields.add_table("cache", &PolicySpec::cache, cache_fields(parts));
  fields.add_table("host_cache", &PolicySpec::host_cache, host_cache());
  fields.add_table("formats", &PolicySpec::formats, formats());
  fields.add_table("lookahead", &PolicySpec::lookahead, lookahead(parts));
  fields.add_table("prefetch", &PolicySpec::prefetch, prefetch(parts));
  fields.add_table("transfer", &PolicySpec::transfer, transfer(parts));
  fields.add_table("compute", &PolicySpec::compute, compute());
  fields.add_table("kv_cache", &PolicySpec::kv_cache, kv_cache());
  fields.add_table("miss", &PolicySpec::miss, miss(parts));
  return fields;
}

namespace {

Fields<PolicySpec>& fields_of_process() {
  static Fields<PolicySpec> fields = policy_fields(sim::built_in_parts());
  return fields;
}

}  // namespace

const Fields<PolicySpec>& policy_fields() { return fields_of_process(); }

void describe_own_parts() { fields_of_process() = policy_fields(sim::built_in_parts()); }

}  // namespace pregate
