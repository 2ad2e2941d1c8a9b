// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/serving_checks.hpp"

#include <string>

#include "models/error.hpp"
#include "sim/cache/eviction.hpp"

namespace pregate::sim {

void check_serving(const ServingSpec& serving, const PolicySpec& policy, const trace::TraceInfo& trace) {
  if (policy.kv_cache.on_host() && serving.paged_kv()) {
    throw InputError("policy " + policy.name,
                     "kv_cache.memory = 'host' has room for every sequence's longest context, and no blocks",
                     "serve.kv_block 0, or --set policy.kv_cache.memory=gpu");
  }
  if (policy.kv_cache.attention == AttentionPlace::cpu &&
      serving.batcher->mixes_prompts(serving.batcher.parameters())) {
    throw InputError("policy " + policy.name,
                     "kv_cache.attention = 'cpu' attends in decode steps, and here prompts run beside them",
                     "--set serve.prompts=before, or --set policy.kv_cache.attention=gpu");
  }
  if (policy.lookahead.predictor->needs_future && serving.depends_on_time(trace)) {
    throw InputError("policy " + policy.name,
                     "the lookahead '" + policy.lookahead.predictor->name +
                         "' knows the future, and which passes come depends on when requests arrive",
                     "choose another (pregate list parts), or --arrival-rate 0");
  }
  if (policy.cache.capacity.kind == CapacityKind::none) return;
  const cache::EvictionEntry& eviction = cache::eviction_registry().find(policy.cache.eviction, "--eviction");
  if (eviction.needs_prompts && serving.batcher->mixes_prompts(serving.batcher.parameters())) {
    throw InputError("policy " + policy.name,
                     "the eviction '" + eviction.name +
                         "' learns from passes over prompts, and here prompts run beside decode steps",
                     "--set serve.prompts=before, or choose another (pregate list evictions)");
  }
  if (!serving.depends_on_time(trace) || !eviction.needs_future) return;
  throw InputError("policy " + policy.name,
                   "the eviction '" + eviction.name +
                       "' knows the future, and which passes come depends on when requests arrive" +
                       (serving.paged_kv() ? " and lose their KV memory" : ""),
                   "choose another (pregate list evictions), or --arrival-rate 0" +
                       std::string(serving.paged_kv() ? " and serve.kv_block 0" : ""));
}

}  // namespace pregate::sim
