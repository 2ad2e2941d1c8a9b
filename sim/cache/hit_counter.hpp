// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "sim/cache/expert_cache.hpp"

namespace pregate::cache {

/// Place of one batch in an array of keys.
struct BatchRange {
  std::uint32_t begin = 0, end = 0;
  [[nodiscard]] std::uint32_t size() const { return end - begin; }
};

/// An expert cache for who wants nothing of a batch but how many of it hit: the same hits as the ExpertCache
/// of the same policy and geometry, without a list of misses or of what left.
class HitCounter {
 public:
  HitCounter() = default;
  virtual ~HitCounter() = default;
  HitCounter(const HitCounter&) = delete;
  HitCounter& operator=(const HitCounter&) = delete;

  /// Batches of distinct keys, in order: the i-th against domain `first_domain` + i, or each against the only
  /// domain there is. Writes the hits of each. One virtual call for all.
  virtual void count(std::uint32_t first_domain, const ExpertKey* keys, std::span<const BatchRange> batches,
                     std::uint32_t* hits) = 0;

  /// As of ExpertCache. Of a policy that watches, batches are counted one by one, each after its gate().
  virtual void begin_pass(const PassStart&) {}
  virtual void gate(const GateOutcome&) {}
  virtual std::span<const Swap> end_pass() { return {}; }
};

/// The counter of every policy that has none of its own.
class CacheHitCounter final : public HitCounter {
 public:
  CacheHitCounter(std::unique_ptr<ExpertCache> cache, std::uint32_t domains)
      : cache_(std::move(cache)), one_domain_(domains == 1) {}

  void count(std::uint32_t first_domain, const ExpertKey* keys, std::span<const BatchRange> batches,
             std::uint32_t* hits) override {
    std::uint32_t domain = first_domain;
    for (const BatchRange& batch : batches) {
      *hits++ = cache_->access(one_domain_ ? 0 : domain++, {keys + batch.begin, batch.size()});
    }
  }

  void begin_pass(const PassStart& start) override { cache_->begin_pass(start); }
  void gate(const GateOutcome& outcome) override { cache_->gate(outcome); }
  std::span<const Swap> end_pass() override { return cache_->end_pass(); }

 private:
  std::unique_ptr<ExpertCache> cache_;
  bool one_domain_;
};

}  // namespace pregate::cache
