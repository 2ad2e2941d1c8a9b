// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Which layer an expert is of, and how far that is from the one that runs.
class CachedLayers {
 public:
  explicit CachedLayers(const CacheGeometry& geometry) : layers_(geometry.layers) {
    if (layers_.empty()) {
      for (std::uint32_t domain = 0; domain < geometry.domains; ++domain)
        layers_.push_back({geometry.first_key[domain], 0, geometry.domains});
    }
    ordinal_.resize(geometry.keys());
    for (std::uint32_t ordinal = 0; ordinal < layers_.size(); ++ordinal) {
      for (ExpertKey key = layers_[ordinal].first_key; key < end_of(ordinal); ++key) ordinal_[key] = ordinal;
    }
  }

  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(layers_.size()); }
  [[nodiscard]] std::uint32_t ordinal_of(ExpertKey key) const { return ordinal_[key]; }
  /// Keys of a layer: first to end.
  [[nodiscard]] ExpertKey first_of(std::uint32_t ordinal) const { return layers_[ordinal].first_key; }
  [[nodiscard]] ExpertKey end_of(std::uint32_t ordinal) const {
    return ordinal + 1 < count() ? layers_[ordinal + 1].first_key : static_cast<ExpertKey>(ordinal_.size());
  }
  /// MoE layers of its stack.
  [[nodiscard]] std::uint32_t depth(std::uint32_t ordinal) const { return layers_[ordinal].layers; }
  /// Of its stack, from 0.
  [[nodiscard]] std::uint32_t place(std::uint32_t ordinal) const {
    return ordinal - layers_[ordinal].first_of_stack;
  }
  /// MoE layers until layer `ordinal` runs again, seen from `now`, which runs: 1 to the depth of the stack,
  /// which is also the distance of the running layer itself and of every layer of another stack.
  [[nodiscard]] std::uint32_t distance(std::uint32_t ordinal, std::uint32_t now) const {
    const CachedLayer& layer = layers_[ordinal];
    if (layer.first_of_stack != layers_[now].first_of_stack || ordinal == now) return layer.layers;
    return ordinal > now ? ordinal - now : ordinal + layer.layers - now;
  }

 private:
  std::vector<CachedLayer> layers_;
  std::vector<std::uint32_t> ordinal_;  // by key
};

}  // namespace pregate::cache
