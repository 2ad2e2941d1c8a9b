// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/cache/eviction.hpp"
#include "sim/policy/load_policy.hpp"

namespace pregate::test {

using cache::ExpertKey;
using Batch = std::vector<ExpertKey>;

/// `layers` layers of `experts` experts of size 1; one domain for all where global, else one each.
inline cache::CacheGeometry layered(std::uint32_t layers, std::uint32_t experts, std::int64_t capacity,
                                    bool global = false) {
  cache::CacheGeometry geometry;
  geometry.domains = global ? 1 : layers;
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    if (!global || layer == 0) geometry.first_key.push_back(layer * experts);
    geometry.layers.push_back({layer * experts, 0, layers});
  }
  geometry.first_key.push_back(layers * experts);
  geometry.capacity.assign(geometry.domains, capacity);
  geometry.size.assign(geometry.keys(), 1);
  return geometry;
}

/// A cache that is told what a planner tells it.
class DrivenCache {
 public:
  /// `parameters` as lines of the table [cache] of a policy.
  DrivenCache(const std::string& eviction, cache::CacheGeometry geometry, const std::string& parameters = "")
      : geometry_(std::move(geometry)) {
    if (!parameters.empty()) {
      geometry_.parameters =
          parse_policy_toml("[cache]\neviction = \"" + eviction + "\"\n" + parameters, "test")
              .cache.eviction_parameters;
    }
    cache_ = cache::eviction_registry().find(eviction, "test").make(geometry_);
  }

  void begin_pass(cache::PassStart start = {}) {
    start.first_batch = batches_;
    batches_ += geometry_.layers.size();
    cache_->begin_pass(start);
  }
  /// The gate of a layer alone: of the layer's keys with their tokens (1 each where empty), or a token's
  /// weights.
  void gate(std::uint32_t ordinal, const Batch& keys, std::vector<std::uint32_t> tokens = {},
            const std::vector<float>& weights = {}) {
    if (tokens.empty()) tokens.assign(keys.size(), 1);
    const ExpertKey first = geometry_.layers[ordinal].first_key;
    std::vector<std::uint16_t> ids;
    for (const ExpertKey key : keys) ids.push_back(static_cast<std::uint16_t>(key - first));
    cache_->gate({.ordinal = ordinal,
                  .activated = keys,
                  .tokens = tokens,
                  .ids = ids,
                  .weights = weights,
                  .top_k = static_cast<std::uint32_t>(keys.size()),
                  .first_key = first});
  }
  std::uint32_t access(std::uint32_t ordinal, const Batch& keys) {
    return cache_->access(geometry_.domains == 1 ? 0 : ordinal, keys);
  }
  /// Both.
  std::uint32_t layer(std::uint32_t ordinal, const Batch& keys, std::vector<std::uint32_t> tokens = {},
                      const std::vector<float>& weights = {}) {
    gate(ordinal, keys, std::move(tokens), weights);
    return access(ordinal, keys);
  }
  /// A pass of one layer, and its swaps.
  std::uint32_t pass(const Batch& keys, std::vector<std::uint32_t> tokens = {},
                     const std::vector<float>& weights = {}, cache::PassStart start = {}) {
    begin_pass(start);
    const std::uint32_t hits = layer(0, keys, std::move(tokens), weights);
    swaps_ += cache_->end_pass().size();
    return hits;
  }
  [[nodiscard]] std::size_t swaps() const { return swaps_; }
  void add_swaps(std::size_t count) { swaps_ += count; }
  cache::ExpertCache* operator->() { return cache_.get(); }

 private:
  cache::CacheGeometry geometry_;
  std::unique_ptr<cache::ExpertCache> cache_;
  std::uint64_t batches_ = 0;
  std::size_t swaps_ = 0;
};

/// For each access of the batches, after those of `start`, the batch that activates the same expert next.
inline std::vector<cache::BatchIndex> future_of(const std::vector<Batch>& batches, const Batch& start = {}) {
  std::vector<cache::BatchIndex> uses;
  std::map<ExpertKey, std::size_t> last;
  const auto use = [&](ExpertKey key) {
    last[key] = uses.size();
    uses.push_back(cache::never);
  };
  for (const ExpertKey key : start) use(key);
  for (std::size_t batch = 0; batch < batches.size(); ++batch) {
    for (const ExpertKey key : batches[batch]) {
      if (last.contains(key)) uses[last[key]] = static_cast<cache::BatchIndex>(batch);
      use(key);
    }
  }
  return uses;
}

}  // namespace pregate::test
