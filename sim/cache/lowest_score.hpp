// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "sim/cache/cache_of.hpp"
#include "sim/cache/resident_rows.hpp"

namespace pregate::cache {

/// An eviction by a score that may depend on when it is asked: the resident of lowest score leaves, the least
/// recently used on a tie (the batch is one event, its members used in router order). With Admission::bypass
/// a miss that scores lower than every resident stays out. An eviction looks at every resident of the domain,
/// so it costs as much as the domain holds.
///
/// `Score` is constructed from a CacheGeometry, and a call by key gives a double. It may have
/// begin_pass(start) and gate(outcome), as CacheOf.
template <class Score>
class LowestScore {
 public:
  explicit LowestScore(const CacheGeometry& geometry)
      : rows_(geometry),
        score_(geometry),
        last_use_(geometry.keys()),
        bypass_(geometry.admission == Admission::bypass) {}

  static constexpr bool ignores_hits = true;

  void begin_pass(const PassStart& start) requires requires(Score score, PassStart s) { score.begin_pass(s); }
  { score_.begin_pass(start); }
  void gate(const GateOutcome& outcome) requires requires(Score score, GateOutcome o) { score.gate(o); }
  { score_.gate(outcome); }

  void begin_batch(std::uint32_t, std::span<const ExpertKey> activated) {
    for (const ExpertKey key : activated) last_use_[key] = ++clock_;
  }
  void miss(std::uint32_t, ExpertKey) {}
  ExpertKey victim(std::uint32_t domain, ExpertKey incoming, const Evictable& evictable) const {
    const ExpertKey lowest = rows_.lowest(domain, evictable, [this](ExpertKey key) {
      return std::pair<double, std::uint64_t>(score_(key), last_use_[key]);
    });
    if (bypass_ && lowest != no_key && score_(incoming) < score_(lowest)) return incoming;
    return lowest;
  }
  void insert(std::uint32_t domain, ExpertKey key) { rows_.insert(domain, key); }
  void evict(std::uint32_t domain, ExpertKey key) { rows_.remove(domain, key); }

 private:
  ResidentRows rows_;
  Score score_;
  std::vector<std::uint64_t> last_use_;  // by key
  std::uint64_t clock_ = 0;
  bool bypass_;
};

}  // namespace pregate::cache
