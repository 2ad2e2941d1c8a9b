// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/what_fits.hpp"

#include <algorithm>
#include <cstdio>

#include "models/error.hpp"
#include "models/formats/apply_formats.hpp"
#include "sim/cost/low_format.hpp"
#include "sim/memory_needed.hpp"

namespace pregate::sim {

namespace {

/// The same memory, without the eviction's needs: no future is read, no hit rate given.
PolicySpec without_eviction(PolicySpec policy) {
  policy.cache.eviction = PolicySpec{}.cache.eviction;
  policy.cache.eviction_parameters.reset();
  policy.cache.hit_rate.reset();
  policy.cache.profile.clear();
  policy.cache.split = CacheSplit::even;  // who has the slots takes no memory
  policy.cache.budgets.clear();
  return policy;
}

PolicySpec with_slots(PolicySpec policy, std::int64_t slots) {
  policy.cache.capacity = {};
  if (slots > 0) policy.cache.capacity = {CapacityKind::slots, slots, {}, 0};
  return policy;
}

Bytes cache_of(const MemoryUse& use) {
  return use.peak[static_cast<std::size_t>(MemoryPurpose::expert_cache)];
}

void find_cache(const MemoryOf& memory, const ModelSpec& model, const PolicySpec& policy,
                const ExpertMap& map, FitsWith& found) {
  if (!memory(model, with_slots(policy, 0)).fits()) return;
  std::int64_t most = 0;  // slots that hold every expert
  for (const MoeLayer& layer : map.layers())
    most = policy.cache.scope == CacheScope::layer ? std::max<std::int64_t>(most, layer.experts) : map.keys();
  std::int64_t fit = 0, too_many = most + 1;
  while (too_many - fit > 1) {
    const std::int64_t middle = fit + (too_many - fit) / 2;
    (memory(model, with_slots(policy, middle)).fits() ? fit : too_many) = middle;
  }
  const bool needs_cache = !policy.miss.service->fetches;
  if (fit == 0 && needs_cache) return;
  found.cache = with_slots(policy, fit).cache.capacity;
  found.cache_bytes = cache_of(memory(model, with_slots(policy, fit)));
}

/// The widest formats, narrower than `now`, in which the run fits when the model is stored so.
std::vector<std::string> formats(const MemoryOf& memory, const ModelSpec& model, const PolicySpec& policy,
                                 double now,
                                 void (*store)(ModelSpec&, const std::string& name, const std::string&)) {
  constexpr std::size_t most_named = 3;
  std::vector<const WeightFormat*> narrower;
  for (const std::string& name : weight_format_names()) {
    const WeightFormat& format = weight_format(name, "weights");
    if (format.bits_per_parameter < now) narrower.push_back(&format);
  }
  std::stable_sort(narrower.begin(), narrower.end(), [](const WeightFormat* a, const WeightFormat* b) {
    return a->bits_per_parameter > b->bits_per_parameter;
  });
  std::vector<std::string> found;
  for (const WeightFormat* format : narrower) {
    if (found.size() == most_named) break;
    ModelSpec changed = model;
    store(changed, format->name, "weights");
    if (memory(changed, policy).fits()) found.push_back(format->name);
  }
  return found;
}

std::string alternatives(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return text;
}

}  // namespace

std::string FitsWith::text() const {
  std::vector<std::string> ways;
  if (cache) {
    const std::string of = as_on_demand ? "--policy on-demand " : "";
    char size[32];
    std::snprintf(size, sizeof size, "%.1f", static_cast<double>(cache_bytes.count) / (1LL << 30));
    const char* const where = on_each_gpu ? " GiB on each GPU)" : " GiB)";
    ways.push_back(cache->kind == CapacityKind::none
                       ? of + "--cache 0"
                       : of + "--cache '" + to_string(*cache) + "' (" + size + where);
  }
  if (!weights.empty()) ways.push_back("--weights " + alternatives(weights));
  if (!dense_weights.empty()) ways.push_back("--dense-weights " + alternatives(dense_weights));
  std::string text;
  for (const std::string& way : ways) text += (text.empty() ? "" : "; or ") + way;
  return text;
}

MemoryUse memory_needed(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& given,
                        const PreparedTrace& prepared, const Topology& topology, trace::StepSource& source,
                        CountedExperts counted, int prompt_chunk) {
  const PolicySpec policy = without_eviction(given);
  const ExpertMap map(source.info(), model, "trace");
  Plan plan = make_plan(policy, map, prepared.scan(), topology, source, counted);
  if (!policy.formats.low.empty())
    plan_formats(plan, in_low_format(model, policy), source.info(), prepared.scan());
  return fit_memory(model, limits, plan, prepared.scan(), counted, prompt_chunk);
}

bool fits_in_memory(const ModelSpec& model, const MemoryLimits& limits, const PolicySpec& policy,
                    const PreparedTrace& prepared, const Topology& topology, trace::StepSource& source,
                    CountedExperts counted, int prompt_chunk) {
  return memory_needed(model, limits, policy, prepared, topology, source, counted, prompt_chunk).fits();
}

FitsWith what_fits(const ModelSpec& model, const PolicySpec& policy, const ExpertMap& map,
                   const MemoryOf& memory, bool may_offload) {
  FitsWith found;
  found.as_on_demand = policy.placement.kind->keeps_all;
  // Misses that the CPU computes, without a cache to bring them into, leave nothing to size.
  const bool has_cache = policy.miss.service->fetches || policy.miss.service->copies_too ||
                         policy.miss.admission == MissAdmission::background;
  found.tried_caches = has_cache && may_offload;
  if (found.tried_caches) find_cache(memory, model, found.as_on_demand ? PolicySpec{} : policy, map, found);
  found.weights = formats(memory, model, policy, model.expert_format.bits_per_parameter, store_experts_as);
  if (!found.any())
    found.dense_weights =
        formats(memory, model, policy, model.dense_format.bits_per_parameter, store_rest_as);
  return found;
}

}  // namespace pregate::sim
