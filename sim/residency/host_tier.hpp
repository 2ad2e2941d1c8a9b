// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "sim/cache/expert_cache.hpp"

namespace pregate::sim {

/// A pool of experts in the host's memory, behind which a drive holds them all.
class HostTier {
 public:
  HostTier() = default;
  virtual ~HostTier() = default;
  HostTier(const HostTier&) = delete;
  HostTier& operator=(const HostTier&) = delete;

  /// Distinct experts of a layer that are about to be copied to the GPU or computed by the CPU. Those that
  /// the host's memory lacks, in that order, are read from the drive first; they are there from now on, and
  /// others may have left. `ordinal`: of the layer, over all stacks. Valid until the next call.
  virtual std::span<const cache::ExpertKey> access(int ordinal, std::span<const cache::ExpertKey> keys) = 0;
  /// Whether the host's memory has it now.
  [[nodiscard]] virtual bool holds(cache::ExpertKey key) const = 0;
  /// `key`, which was copied to the GPU, leaves it.
  virtual void take_back(cache::ExpertKey) {}
};

/// Empty: the host's memory holds every expert.
using MakeHostTier = std::function<std::unique_ptr<HostTier>()>;

/// A host tier that keeps experts as a cache does.
class CachedHostTier final : public HostTier {
 public:
  /// `of_each_layer`: the cache's domains are layers; otherwise it has one.
  CachedHostTier(std::unique_ptr<cache::ExpertCache> cache, bool of_each_layer)
      : cache_(std::move(cache)), of_each_layer_(of_each_layer) {}
  std::span<const cache::ExpertKey> access(int ordinal, std::span<const cache::ExpertKey> keys) override {
    cache_->access(of_each_layer_ ? static_cast<std::uint32_t>(ordinal) : 0U, keys);
    return cache_->misses();
  }
  [[nodiscard]] bool holds(cache::ExpertKey key) const override { return cache_->is_resident(key); }

 private:
  std::unique_ptr<cache::ExpertCache> cache_;
  bool of_each_layer_;
};

}  // namespace pregate::sim
